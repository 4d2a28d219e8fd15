"""Meet commands with signals, full disks, few descriptors and many at once, and count what was lost or left behind.

python -m tests.benchmarks.faults signals|disk|descriptors|archive|crowd [--times 20] [--only "profile|evolve"]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tests.conftest import ROOT, environment

ECOSEL = (sys.executable, "-m", "ecosel")
OBJECTIVES = ("--maximize", "acc", "--minimize", "ms")
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT)
# exit status: as asked, one line of the command's own, what `evolve` documents for job scripts (130, 143), or the signal
STATUSES = {0, 1, 130, 143, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGPIPE, -signal.SIGINT}
NETWORK = "import sys, torch; from data.digits_cnn import network; torch.save(network().state_dict(), sys.argv[1])"
APPEND = """
import sys; from pathlib import Path; from profilers.results.archive import COLUMNS, append
for k in map(int, sys.argv[2:]):
    row = dict.fromkeys(COLUMNS) | dict(candidate_id=str(k), status='ok', configuration=str(k), accuracy=0.5)
    append(Path(sys.argv[1]), row | dict(inference_time_s=1.0 + k))
"""


def table(folder: Path, rows: int = 20_000) -> Path:
    rng = random.Random(1)
    numbers = {name: [rng.random() for _ in range(rows)] for name in ("acc", "ms")}
    pl.DataFrame({"model": [f"m{k}" for k in range(rows)], **numbers}).write_csv(folder / "models.csv")
    return folder / "models.csv"


@dataclass(frozen=True)
class Command:
    words: list[str]
    files: list[Path]
    """What it writes, each whole or not at all."""
    grows: Path | None = None
    """An archive of a record a line, which gets whole lines or none."""


def commands(archive: Path, outputs: Path, only: str = "") -> dict[str, Command]:
    """Return each command with the files that it writes."""
    chosen, front, page = outputs / "chosen.json", outputs / "front.csv", outputs / "page.html"
    trace, runs, found, variants = (outputs / name for name in ("trace.parquet", "runs.ndjson", "run.db", "variants"))
    network = [str(archive.parent / "net.pt"), "--factory", f"{ROOT / 'data/digits_cnn.py'}:network", "--dataset", "digits"]
    each = {
        "select": Command(
            [*ECOSEL, "select", str(archive), *OBJECTIVES, "--format", "json", "-o", str(chosen), "--front", str(front)],
            [chosen, front],
        ),
        "report": Command([*ECOSEL, "report", str(archive), *OBJECTIVES, "-o", str(page)], [page]),
        "profile": Command(
            [*ECOSEL, "profile", *network, "--meter", "constant:5", "--quick", "--max-seconds", "2", "--archive", str(runs),
             "--trace", str(trace)], [trace], runs,
        ),
        "evolve": Command(
            [*ECOSEL, "evolve", "--dataset", "digits", "--births", "4", "--population", "4", "--max-epochs", "1", "--measure", "none",
             "--plain", "--archive", str(found)], [],
        ),
        "compress": Command(
            [*ECOSEL, "compress", *network, "--limit", "50", "--variants", "fold,bf16", "--quick", "--max-seconds", "0.5",
             "-o", str(variants)], [],
        ),
    }  # fmt: skip
    return {name: each[name] for name in each if not only or name in only.split("|")}


def signals(times: int, only: str) -> None:
    """Send a signal at a random moment of a command; its files are absent or whole, and no process of it is left."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs = Path(name), Path(name) / "outputs"
        outputs.mkdir()
        subprocess.run([sys.executable, "-c", NETWORK, str(folder / "net.pt")], check=True, env=environment())
        for title, command in commands(table(folder), outputs, only).items():
            began = time.monotonic()
            subprocess.run(command.words, check=True, capture_output=True, env=environment())
            took_s, whole = time.monotonic() - began, {file: file.stat().st_size for file in command.files}
            found, rng = Counter[str](), random.Random(2)
            for turn in range(times):
                shutil.rmtree(outputs)
                outputs.mkdir()
                number = SIGNALS[turn % len(SIGNALS)]
                run = _signalled(command, rng.uniform(0, 1.1 * took_s), number)
                found[f"status {run.returncode}"] += 1
                found["HALF"] += sum(file.exists() and not _is_whole(file, whole[file]) for file in command.files)
                lines = command.grows.read_text() if command.grows and command.grows.exists() else ""
                found["HALF A LINE"] += bool(lines) and not lines.endswith("}\n")
                hidden = [file.name for file in outputs.rglob("*") if file.name.startswith(".") or ".partial" in file.name]
                found["LEFT BEHIND"] += len(hidden)
                found["CHILD LEFT"] += _group_is_there(run.pid)
                found["ANOTHER STATUS"] += run.returncode not in STATUSES
                if run.returncode not in (0, 130, 143, -number) or hidden:
                    print(f"{title}, {number.name}: {run.returncode}, {hidden}: {run.said[-300:]!r}", flush=True)
            print(f"{title}: {times} signals over {took_s:.1f} s: {dict(sorted(found.items()))}", flush=True)


@dataclass(frozen=True)
class _Ran:
    pid: int
    returncode: int
    said: str


def _signalled(command: Command, after_s: float, number: signal.Signals) -> _Ran:
    """Run a command in a session of its own, and send it a signal."""
    with subprocess.Popen(
        command.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True, text=True
    ) as run:
        time.sleep(after_s)
        run.send_signal(number)
        _, said = run.communicate()
    return _Ran(run.pid, run.returncode, said)


def _group_is_there(group: int) -> bool:
    """Tell whether a process of a group still runs two seconds after its first one ended."""
    for _ in range(20):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True


def _is_whole(file: Path, size: int) -> bool:
    """Tell whether a file is as it was written without a signal; a trace holds as many samples as there was time for."""
    return file.read_bytes()[-4:] == b"PAR1" if file.suffix == ".parquet" else file.stat().st_size == size


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of `size` bytes (needs root)."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def disk(times: int, only: str) -> None:
    """Give a command disks of more and more room; it writes all files whole, or says in a line that there is no room."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = table(folder, 2_000)
        for title, one in commands(archive, folder / "small", only or "select|report").items():
            command, files = one.words, one.files
            found = Counter[str]()
            for pages in range(1, times + 1):
                with small_disk(folder / "small", 4096 * (pages if title == "select" else 16 * pages)):
                    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
                    there = [file for file in files if file.exists()]
                    found["written" if run.returncode == 0 else "told in a line"] += 1
                    found["HALF"] += (
                        (len(there) != len(files)) if run.returncode == 0 else len(list((folder / "small").iterdir()))
                    )
                    found["NO LINE"] += run.returncode != 0 and run.stderr.count("\n") != 1
            print(f"{title}: {times} disks: {dict(sorted(found.items()))}", flush=True)


def descriptors(times: int, only: str) -> None:
    """Give a command few file descriptors; it ends well, or in a line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, one in commands(table(folder, 2_000), folder, only or "select|report").items():
            command, files = one.words, one.files
            found = Counter[str]()
            for limit in range(8, 8 + times):

                def few(limit: int = limit) -> None:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

                run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), preexec_fn=few)
                last = run.stderr.strip().rsplit("\n", 1)[-1][:80]
                found["ended well" if run.returncode == 0 else f"{run.returncode}: {last}"] += 1
                found["LEFT BEHIND"] += len([one for one in folder.iterdir() if one.name.startswith(".")])
                for file in files:
                    file.unlink(missing_ok=True)
            print(f"{title}: limits {8} to {7 + times}: {dict(sorted(found.items()))}", flush=True)


def archive(times: int, only: str) -> None:
    """Append rows from many processes while others select from the same archive: none is lost, doubled or refused."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(16) as pool:
        path = Path(name) / "runs.db"
        subprocess.run([sys.executable, "-c", APPEND, str(path), "0"], check=True)
        begin = time.monotonic()
        appends = [[sys.executable, "-c", APPEND, str(path), str(k)] for k in range(1, times)]
        selects = [[*ECOSEL, "select", str(path), "--maximize", "accuracy", "--minimize", "inference_time_s"]] * (times // 4)
        runs = list(pool.map(_ran, random.Random(3).sample([*appends, *selects], len(appends) + len(selects))))
        with sqlite3.connect(path) as database:
            rows, distinct = database.execute("SELECT COUNT(*), COUNT(DISTINCT candidate_id) FROM archive").fetchone()
        failed = [run.stderr[-200:] for run in runs if run.returncode]
        left = sorted(file.name for file in Path(name).iterdir())
        print(f"{len(appends)} processes that append a row and {len(selects)} selects, 16 at once, in {time.monotonic() - begin:.0f} s: "
              f"{rows} rows, {distinct} distinct; {len(failed)} FAILED {failed[:2]}; files: {left}")  # fmt: skip


def crowd(times: int, only: str) -> None:
    """Profile a tiny model in many whole processes at once, beside a quarter as many `select`, all on one archive."""
    from tests.profilers.models.onnx import files

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(times + times // 4) as pool:
        path, net = Path(name) / "runs.db", files.save(files.network(), Path(name) / "net.onnx")
        profile = [*ECOSEL, "profile", str(net), "--meter", "constant:5", "--quick", "--max-seconds", "2", "--archive", str(path)]
        select = [*ECOSEL, "select", str(path), "--minimize", "energy_per_inference_j", "--minimize", "inference_time_s"]
        begin = time.monotonic()
        first = _ran(profile)
        alone_s, begin = time.monotonic() - begin, time.monotonic()
        runs = list(pool.map(_ran, random.Random(3).sample([profile] * times + [select] * (times // 4), times + times // 4)))
        with sqlite3.connect(path) as database:
            names = [name for (name,) in database.execute("SELECT candidate_id FROM archive")]
        said = [found[1] for run in (first, *runs) if (found := re.search("appended (.*) to ", run.stderr))]
        failed = [run for run in runs if run.returncode]
        unclear = [run.stderr[-300:] for run in failed if run.stderr.count("\n") != 1 or run.returncode != 1]
        print(f"{times} profile and {times // 4} select at once in {time.monotonic() - begin:.0f} s (one alone {alone_s:.1f} s): "
              f"{len(names)} rows, {len(set(names))} distinct, {len(set(said) - set(names))} LOST, {len(set(names) - set(said))} "
              f"UNSAID; {len(failed)} failed, {len(unclear)} of them NOT IN A LINE {unclear[:2]}: "
              f"{Counter(run.stderr.strip()[-120:] for run in failed)}; files: {sorted(os.listdir(name))}")  # fmt: skip


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


PARTS: dict[str, Callable[[int, str], None]] = {
    "signals": signals,
    "disk": disk,
    "descriptors": descriptors,
    "archive": archive,
    "crowd": crowd,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", default="", help="commands, apart by | (default: all)")
    given = parser.parse_args()
    PARTS[given.part](given.times, given.only)
