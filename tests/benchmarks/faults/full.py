"""Give commands disks of more and more room: each write meets a full disk at some size."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.benchmarks.faults.commands import Command, clear_line, commands, inputs, names, run, wrongs
from tests.benchmarks.faults.disks import grow, small_disk

ROOM = 16_384  # pages, more than any command needs


def disk(times: int, only: str, *, step: int, start: int) -> None:
    """Write to small disks: all is written, or a line tells; what was there and what was finished is kept, and can be resumed."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs = Path(name), Path(name) / "small"
        inputs(folder)
        for title, command in commands(folder, outputs, only).items():
            begun = _begun(command, outputs)
            found = Counter[str]()
            for pages in range(start, start + step * times, step):
                with small_disk(outputs, pages):
                    try:
                        if begun is not None and command.archive is not None:
                            shutil.copy(begun, command.archive)
                    except OSError:
                        found["too small for the archive"] += 1
                        continue
                    said = list(_met(command, outputs))
                found.update(said)
                if wrong := [one for one in said if one[0].isupper()]:
                    print(f"{title}, {pages} pages: {wrong}", flush=True)
            sizes = f"{start} to {start + step * (times - 1)} pages"
            print(f"{title}: {times} disks of {sizes}: {dict(sorted(found.items()))}", flush=True)


def _begun(command: Command, outputs: Path) -> Path | None:
    """Return a copy of the archive after a run on a disk with enough room; a search begins anew each time."""
    if command.archive is None:
        return None
    with small_disk(outputs, ROOM):
        done = run(command.words)
        if done.returncode or list(wrongs(outputs)):
            raise SystemExit(f"fails with room: {done.stderr[-500:]}, {list(wrongs(outputs))}")
        kept = outputs.with_name(f"begun-{command.archive.name}")
        shutil.copy(command.archive, kept)
    return None if command.resumes else kept


def _met(command: Command, outputs: Path) -> Iterator[str]:
    """Yield what happened; what is wrong begins with a capital letter."""
    before = names(command.archive)
    done = run(command.words)
    yield f"status {done.returncode}"
    if done.returncode and not clear_line(done.stderr):
        yield f"NO CLEAR LINE {done.stderr[-300:]}"
    if done.returncode not in (0, 1):
        yield "Another status"
    yield from wrongs(outputs)
    there = [file for file in command.files if file.exists()]
    if done.returncode == 0 and len(there) < len(command.files):
        yield "MISSING though status 0"
    if done.returncode:
        yield f"said: {(done.stderr.strip().splitlines() or [''])[-1].replace(str(outputs), '')[:110]}"
    if command.resumes:
        if done.returncode and command.archive and command.archive.exists() and not command.archive.stat().st_size:
            yield "LEFT BEHIND an empty archive"
        yield from _resumed(command, outputs)
        return
    after = names(command.archive)
    if after[: len(before)] != before:
        yield "LOST an earlier row"
    if command.archive and done.returncode == 0 and len(after) == len(before):
        yield "MISSING row though status 0"
    if command.archive is None and done.returncode and there:
        yield "WRITTEN in part"
    if done.returncode:
        yield "answer printed" if done.stdout.strip() else "no answer"


def _resumed(command: Command, outputs: Path) -> Iterator[str]:
    """Make room, run the same command again, and compare what was finished before."""
    first = _outcomes(command.archive)
    grow(outputs, ROOM)
    again = run(command.words)
    if again.returncode:
        yield f"NOT RESUMED {again.stderr[-300:]}"
    second = _outcomes(command.archive)
    yield f"{len(first)} outcomes kept" if first.items() <= second.items() else "LOST an outcome"
    trained = [job for job in second if job[1] == "train"]
    finals = [status for (_, task), (status, _) in second.items() if task == "final"]
    if len(trained) != 3 or finals != ["ok"]:
        yield f"UNFINISHED {second}"
    if sorted({file.suffix for file in outputs.glob("run-*.*")}) != [".json", ".pt", ".pt2"]:
        yield f"WINNER NOT SAVED {sorted(file.name for file in outputs.iterdir())}"
    yield from (f"{wrong} after resuming" for wrong in wrongs(outputs))


def _outcomes(archive: Path | None) -> dict[tuple[int, str], tuple[str, str]]:
    if archive is None or not archive.exists():
        return {}
    with closing(sqlite3.connect(archive)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'outcomes'").fetchone():
            return {}
        rows = database.execute("SELECT birth, task, status, finished_at FROM outcomes")
        return {(birth, task): (status, at) for birth, task, status, at in rows}


def temporary(times: int, only: str, *, step: int, start: int) -> None:
    """Put the folder for temporary files on small disks; outputs have room."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs, small = (Path(name, *parts) for parts in ((), ("outputs",), ("small",)))
        inputs(folder)
        for title, command in commands(folder, outputs, only).items():
            found = Counter[str]()
            for pages in range(start, start + step * times, step):
                outputs.mkdir()
                with small_disk(small, pages):
                    done = run(command.words, TMPDIR=str(small))
                    said = [f"status {done.returncode}", *wrongs(outputs)]
                    said += [
                        f"LEFT BEHIND in TMPDIR: {file.name}" for file in small.iterdir() if "torchinductor" not in file.name
                    ]
                if done.returncode:
                    said += ["NO CLEAR LINE"] if not clear_line(done.stderr) else []
                    said.append(f"said: {done.stderr.strip().splitlines()[-1].replace(str(small), '')[:200]}")
                shutil.rmtree(outputs)
                found.update(said)
            print(f"{title}: {times} disks for TMPDIR: {dict(sorted(found.items()))}", flush=True)
