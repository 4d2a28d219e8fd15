"""Evolution beside random search on 5,000 images of CIFAR-10, at the same cost in time.

python -m tests.benchmarks.cifar CIFAR10 FOLDER --time 1h [--seed 1] [--workers 2] [--together]
python -m tests.benchmarks.cifar --show FOLDER

CIFAR10 is a folder of Parquet as ../shared/datasets/cifar10; 5,000 training images are drawn from its training split by class,
2,000 others to validate, and its test split is taken whole. Each search is `ecosel evolve` with --time, one after the other;
--together runs both at once, each on half of the cores, so that other work on the machine takes as much from one as from the other.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ecosel.dominance import nondominated_mask
from profilers.energy.intervals import share

TEST_IMAGES = 10_000
SPLITS = {"train": 500, "valid": 200}  # images of each class


def subset(source: Path, folder: Path) -> None:
    """Write the subset in the layout that it came in."""
    folder.mkdir(parents=True, exist_ok=True)
    training = pl.concat(pl.read_parquet(file) for file in sorted(source.rglob("*train*.parquet")))
    order = np.random.default_rng(0).permutation(training.height)
    labels = training["label"].to_numpy()[order]
    first = 0
    for split, count in SPLITS.items():
        rows = np.concatenate([order[labels == label][first : first + count] for label in np.unique(labels)])
        training[np.sort(rows)].write_parquet(folder / f"{split}-00000-of-00001.parquet")
        first += count
    pl.concat(pl.read_parquet(file) for file in sorted(source.rglob("*test*.parquet"))).write_parquet(
        folder / "test-00000-of-00001.parquet"
    )


def search(
    folder: Path, name: str, *, limit: str, seed: int, workers: int, cores: set[int], more: list[str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ecosel", "evolve", "--dataset", str(folder / "cifar-5000"), "--archive", str(folder / name),
               "--time", limit, "--seed", str(seed), "--workers", str(workers), "--devices", "cpu", "--max-epochs", "9",
               "--measure", "none", "--final", "1", "--plain", *more]  # fmt: skip
    return subprocess.Popen(["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command])


def ended(folder: Path, name: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a search, and note the processor time that it had: on a busy machine that is less than the time on the clock."""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{name}: the search failed")
    (folder / name).with_suffix(".json").write_text(json.dumps({"core_s": round(used.ru_utime + used.ru_stime)}) + "\n")


def interval(accuracy: float, images: int) -> str:
    found = share(round(accuracy * images), images)
    return f"{accuracy:.3f} ({found.low:.3f} to {found.high:.3f})"


def finished(row: sqlite3.Row) -> datetime:
    return datetime.fromisoformat(row["finished_at"])


def seconds(row: sqlite3.Row) -> float:
    """Return how long a candidate kept a worker, whether or not its training ended."""
    return (finished(row) - datetime.fromisoformat(row["created_at"])).total_seconds()


def at_equal_time(rows: list[sqlite3.Row], began: datetime, spent_s: float) -> list[str]:
    """Return the best accuracy of one training after a quarter, a half and all of the time of the search."""
    cells = []
    for part in (0.25, 0.5, 1):
        by = began + timedelta(seconds=part * spent_s)
        found = [row["first_accuracy"] or 0.0 for row in rows if finished(row) <= by]
        cells.append(interval(max(found, default=0.0), 10 * SPLITS["valid"]))
    return cells


def show(folder: Path) -> None:
    print("| search | births | ok | core seconds | time lost to failures | best of one training (95 %) after 1/4 | 1/2 | all "
          "of the time | chosen: mean of 3 (95 %) | its test accuracy (95 %) | front |")  # fmt: skip
    print("| --- " * 11 + "|")
    for name in ("random.db", "evolved.db"):
        with closing(sqlite3.connect(folder / name)) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute("SELECT * FROM archive ORDER BY finished_at").fetchall()
            began = datetime.fromisoformat(database.execute("SELECT MIN(started_at) FROM sessions").fetchone()[0])
        last = max(map(finished, rows))
        took = {
            status: sum(seconds(row) for row in rows if row["status"] == status) for status in {row["status"] for row in rows}
        }
        lost = sum(took.values()) - took.get("ok", 0.0) - took.get("stopped", 0.0)
        ok = [row for row in rows if row["status"] == "ok"]
        chosen = max((row for row in ok if row["test_accuracy"] is not None), key=lambda row: row["accuracy"], default=None)
        front = nondominated_mask([[-row["accuracy"], row["parameters"], row["flops"]] for row in ok]).sum() if ok else 0
        mean, tested = "-", "-"
        if chosen is not None:
            mean = f"{chosen['accuracy']:.3f} ({chosen['accuracy_low']:.3f} to {chosen['accuracy_high']:.3f})"
            tested = interval(chosen["test_accuracy"], TEST_IMAGES)
        used = (folder / name).with_suffix(".json")
        core_s = json.loads(used.read_text())["core_s"] if used.exists() else "not noted"
        best = " | ".join(at_equal_time(rows, began, (last - began).total_seconds()))
        print(
            f"| {name[:-3]} | {len(rows)} | {len(ok)} | {core_s} | {lost / sum(took.values()):.0%} | {best} | {mean} | {tested} | {front} |"
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("source", type=Path, nargs="?")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--time", default="1h")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--together", action="store_true")
    arguments.add_argument("--show", action="store_true")
    given = arguments.parse_args()
    if not given.show:
        if not (given.folder / "cifar-5000").exists():
            subset(given.source, given.folder / "cifar-5000")
        common = {"limit": given.time, "seed": given.seed, "workers": given.workers}
        searches = {"random.db": ["--population", "100000", "--lifetime", "100000"], "evolved.db": ["--population", "16"]}
        running, cores = [], sorted(os.sched_getaffinity(0))
        for place, (name, more) in enumerate(searches.items()):
            own = cores[place::2] if given.together else cores
            running.append(search(given.folder, name, **common, cores=set(own), more=more))
            if not given.together:
                ended(given.folder, name, running.pop())
        for name, process in zip(searches, running, strict=False):
            ended(given.folder, name, process)
        print(json.dumps({"images": SPLITS, "time": given.time, "seed": given.seed, "workers": given.workers}))
    show(given.folder)


if __name__ == "__main__":
    main()
