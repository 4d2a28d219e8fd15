"""Run many processes at once on one archive, on a fast and on a slow disk, and give commands few file descriptors."""

from __future__ import annotations

import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.benchmarks.faults.commands import ECOSEL, clear_line, commands, inputs, names, wrongs
from tests.benchmarks.faults.disks import loop_disk, throttled
from tests.conftest import environment

APPEND = """
import sys; from pathlib import Path; from profilers.results.archive import COLUMNS, append
for k in map(int, sys.argv[2:]):
    row = dict.fromkeys(COLUMNS) | dict(candidate_id=str(k), status='ok', configuration=str(k), accuracy=0.5)
    append(Path(sys.argv[1]), row | dict(inference_time_s=1.0 + k, energy_per_inference_j=1.0 / (1 + k), parameters=k))
"""
WRITES_PER_S = 20
Runs = list[subprocess.CompletedProcess[str]]


def descriptors(times: int, only: str) -> None:
    """Give a command few file descriptors; it ends well, or in a line."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs = Path(name), Path(name) / "outputs"
        inputs(folder)
        outputs.mkdir()
        for title, one in commands(folder, outputs, only or "select|report").items():
            found = Counter[str]()
            for limit in range(8, 8 + times):

                def few(limit: int = limit) -> None:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

                run = subprocess.run(one.words, capture_output=True, text=True, check=False, env=environment(), preexec_fn=few)
                last = run.stderr.strip().rsplit("\n", 1)[-1][:80]
                found["ended well" if run.returncode == 0 else f"{run.returncode}: {last}"] += 1
                found.update(wrongs(outputs))
                for file in one.files:
                    file.unlink(missing_ok=True)
            print(f"{title}: limits {8} to {7 + times}: {dict(sorted(found.items()))}", flush=True)


def archive(times: int) -> None:
    """Append rows from many processes while others select from the same archive: none is lost, doubled or refused."""
    with tempfile.TemporaryDirectory() as name:
        print(_appended_and_selected(Path(name) / "runs.db", times, at_once=16))


def _appended_and_selected(path: Path, times: int, *, at_once: int, join: Path | None = None) -> str:
    _begin(path, 1)
    appends = [[sys.executable, "-c", APPEND, str(path), str(k)] for k in range(1, times)]
    selects = [[*ECOSEL, "select", str(path), "--maximize", "accuracy", "--minimize", "inference_time_s"]] * (times // 4)
    begin = time.monotonic()
    runs = _together([*appends, *selects], at_once=at_once, join=join)
    with closing(sqlite3.connect(path)) as database:
        rows, distinct = database.execute("SELECT COUNT(*), COUNT(DISTINCT candidate_id) FROM archive").fetchone()
    return (f"{len(appends)} processes that append a row and {len(selects)} selects, {at_once} at once, in {time.monotonic() - begin:.0f} s: "
            f"{rows} rows, {distinct} distinct; {_failures(runs)}; files: {sorted(os.listdir(path.parent))}")  # fmt: skip


def _begin(path: Path, rows: int) -> None:
    """Make an archive with some rows, so that there is something to select from."""
    subprocess.run([sys.executable, "-c", APPEND, str(path), *map(str, range(rows))], check=True, env=environment())


def _together(all_: Sequence[list[str]], *, at_once: int, join: Path | None = None) -> Runs:
    """Run commands in random order, in the control group of a file if one is given."""

    def joined(command: list[str]) -> subprocess.CompletedProcess[str]:
        words = command if join is None else ["sh", "-c", f'echo $$ > {join}; exec "$@"', "sh", *command]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=environment(OMP_NUM_THREADS="1"))

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(joined, random.Random(3).sample(list(all_), len(all_))))


def _failures(runs: Runs) -> str:
    failed = [run for run in runs if run.returncode]
    unclear = [run.stderr[-300:] for run in failed if run.returncode != 1 or not clear_line(run.stderr)]
    reasons = Counter(run.stderr.strip()[-120:] for run in failed)
    return f"{len(runs) - len(failed)} of {len(runs)} with status 0, {len(unclear)} NOT IN A LINE {unclear[:2]}; {dict(reasons)}"


def crowd(times: int) -> None:
    """Profile a tiny model in many whole processes at once, beside a quarter as many `select`, all on one archive."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs(folder)
        path = folder / "runs.db"
        _begin(path, 20)
        print(_profiled(folder, path, times, at_once=times + times // 4))


def _profiled(folder: Path, path: Path, times: int, *, at_once: int, join: Path | None = None) -> str:
    before = names(path)
    profile = [*ECOSEL, "profile", str(folder / "net.onnx"), "--meter", "constant:5", "--quick", "--max-seconds", "0.5"]
    select = [*ECOSEL, "select", str(path), "--minimize", "energy_per_inference_j", "--minimize", "parameters"]
    begin = time.monotonic()
    runs = _together([[*profile, "--archive", str(path)]] * times + [select] * (times // 4), at_once=at_once, join=join)
    took_s, after = time.monotonic() - begin, names(path)
    said = [found[1] for run in runs if (found := re.search("appended (.*) to ", run.stderr))]
    new = after[len(before) :]
    return (f"{times} profile and {times // 4} select, {at_once} at once, in {took_s:.0f} s: {len(before)} rows before, "
            f"{len(new)} new, {len(set(after))} distinct of {len(after)}, {len(set(said) - set(new))} LOST, "
            f"{len(set(new) - set(said))} UNSAID; {_failures(runs)}; files: {sorted(os.listdir(path.parent))}")  # fmt: skip


def slow(times: int) -> None:
    """Put archives on a disk with few writes per second: a loop device, ext2, bounded by the kernel's block I/O throttle."""
    with tempfile.TemporaryDirectory() as name, loop_disk(Path(name) / "slow", "ext2") as device:
        folder, outputs = Path(name), Path(name) / "slow"
        inputs(folder)
        parts: dict[str, Callable[[Path], str]] = {
            "append": lambda join: _appended_and_selected(outputs / "appended.db", times, at_once=2 * times, join=join),
            "profile": lambda join: _profiled(folder, outputs / "profiled.db", times // 2, at_once=8, join=join),
            "evolve": lambda join: _searched(folder, outputs, join),
        }
        with throttled(device, WRITES_PER_S) as join:
            _begin(outputs / "profiled.db", 20)
            for title, part in parts.items():
                print(f"{title}, {WRITES_PER_S} writes/s: {part(join)}", flush=True)
                print(f"  wrong: {list(wrongs(outputs))}", flush=True)


def _searched(folder: Path, outputs: Path, join: Path) -> str:
    """Search on a fast disk and on the slow one."""
    took = []
    for place, group in ((folder / "fast", None), (outputs, join)):
        place.mkdir(exist_ok=True)
        command = commands(folder, place, "evolve")["evolve"].words
        begin = time.monotonic()
        runs = _together([command], at_once=1, join=group)
        took.append(f"{time.monotonic() - begin:.1f} s: {len(names(place / 'run.db'))} rows, {_failures(runs)}")
    return f"fast {took[0]}; slow {took[1]}"
