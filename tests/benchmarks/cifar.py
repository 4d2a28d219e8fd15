"""Evolution beside random search on 5,000 images of CIFAR-10, at the same cost in time.

python -m tests.benchmarks.cifar CIFAR10 FOLDER --time 1h [--seed 1] [--workers 2] [--together]
python -m tests.benchmarks.cifar --show FOLDER

CIFAR10 is a folder of Parquet as ../shared/datasets/cifar10; 5,000 training images are drawn from its training split by class,
2,000 others to validate, and its test split is taken whole. Each search is `ecosel evolve` with --time, one after the other;
--together runs both at once, so that other work on the machine takes as much from one as from the other.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

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


def search(folder: Path, name: str, *, limit: str, seed: int, workers: int, more: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ecosel", "evolve", "--dataset", str(folder / "cifar-5000"), "--archive", str(folder / name),
               "--time", limit, "--seed", str(seed), "--workers", str(workers), "--devices", "cpu", "--max-epochs", "9",
               "--measure", "none", "--final", "1", "--plain", *more]  # fmt: skip
    return subprocess.Popen(command)


def show(folder: Path) -> None:
    print("| search | births | ok | share of training time lost to failures | best of the first 25 / 50 / 100 / all % of time "
          "| mean of 3 (95 % interval) | test accuracy | front |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in ("random.db", "evolved.db"):
        with closing(sqlite3.connect(folder / name)) as database:
            rows = database.execute(
                "SELECT status, first_accuracy, accuracy, accuracy_low, accuracy_high, trainings, test_accuracy, train_time_s,"
                " finished_at, parameters, flops FROM archive ORDER BY finished_at").fetchall()  # fmt: skip
        spent = sum(row[7] or 0.0 for row in rows)
        lost = sum(row[7] or 0.0 for row in rows if row[0] not in ("ok", "stopped"))
        cells, so_far = [], 0.0
        marks = [0.25, 0.5, 1.0]
        done = 0.0
        for row in rows:
            done += row[7] or 0.0
            while marks and done > marks[0] * spent and marks[0] < 1:
                cells.append(f"{so_far:.3f}")
                marks.pop(0)
            so_far = max(so_far, row[1] or 0.0)
        cells.append(f"{so_far:.3f}")
        chosen = max((row for row in rows if row[6] is not None), key=lambda row: row[2], default=None)
        ok = [row for row in rows if row[0] == "ok"]
        from ecosel.dominance import nondominated_mask

        front = nondominated_mask([[-row[2], row[9], row[10]] for row in ok]).sum() if ok else 0
        mean = f"{chosen[2]:.3f} ({chosen[3]:.3f} to {chosen[4]:.3f})" if chosen else "-"
        tested = f"{chosen[6]:.3f}" if chosen else "-"
        print(
            f"| {name[:-3]} | {len(rows)} | {len(ok)} | {lost / spent:.0%} | {' / '.join(cells)} | {mean} | {tested} | {front} |"
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
        running = []
        for name, more in searches.items():
            running.append(search(given.folder, name, **common, more=more))
            if not given.together and running[-1].wait():
                sys.exit(f"{name}: the search failed")
        if any(process.wait() for process in running):
            sys.exit("a search failed")
    show(given.folder)
    print(json.dumps({"images": SPLITS, "time": given.time, "seed": given.seed, "workers": given.workers}))


if __name__ == "__main__":
    main()
