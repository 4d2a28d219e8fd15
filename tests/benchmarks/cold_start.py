"""Time `ecosel select` as a whole process beside pandas + moocore: python tests/benchmarks/cold_start.py [--repeats 7].

Every figure is a new process with the file cache warm: wall seconds (median, and the range) and the largest peak of
resident memory. The archive is drawn with a fixed seed: 8 columns, about 51 bytes a row. ecosel takes the joint front of
four objectives, three pair fronts, the picks and their acceptability; the peer takes the joint front and nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

COLUMNS = ("accuracy", "time_ms", "params", "energy_mj")
SELECT = ["-m", "ecosel", "select", "{file}", "--maximize", "accuracy",
          *(part for column in COLUMNS[1:] for part in ("--minimize", column)), "-o", "{out}"]  # fmt: skip
PANDAS = """
import sys, pandas as pd, moocore
frame = pd.read_csv(sys.argv[1])
costs = frame[["accuracy", "time_ms", "params", "energy_mj"]].to_numpy(float)
costs[:, 0] *= -1
frame[moocore.is_nondominated(costs, keep_weakly=True)].to_csv(sys.argv[2], index=False)
"""


def write_archive(rows: int, csv: Path) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(2019)
    size = rng.normal(0, 1, rows)
    time_ms = np.round(np.exp(1.2 + 0.7 * size + 0.5 * rng.normal(0, 1, rows)), 4)
    frame = pl.DataFrame(
        {
            "model": [f"net_{k:07d}" for k in range(rows)],
            "dataset": rng.choice(["cifar10", "mnist", "svhn"], rows),
            "accuracy": np.round(np.clip(96 - 14 * np.exp(-0.55 * (size + 2)) - rng.gamma(1.6, 3.0, rows), 10, 99.9), 2),
            "time_ms": time_ms,
            "params": np.round(np.exp(13.5 + 1.3 * size + 0.4 * rng.normal(0, 1, rows))).astype(np.int64),
            "energy_mj": np.round(time_ms * np.exp(3.0 + 0.25 * rng.normal(0, 1, rows)), 3),
            "layers": rng.integers(4, 40, rows),
            "epochs": rng.integers(1, 60, rows),
        }
    )
    frame.write_csv(csv)
    frame.write_parquet(csv.with_suffix(".parquet"))


def measured(arguments: list[str]) -> tuple[float, float]:
    """Run a fresh interpreter; return wall seconds and peak resident memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {arguments}")
    return wall, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write", nargs=2, metavar=("ROWS", "CSV"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:  # in a process of its own: a child's peak starts at that of the process it is forked from
        write_archive(int(arguments.write[0]), Path(arguments.write[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        large, small, out = (Path(folder) / name for name in ("large.csv", "small.csv", "out.csv"))
        for rows, csv in ((1_000_000, large), (1_000, small)):
            subprocess.run([sys.executable, __file__, "--write", str(rows), str(csv)], check=True)

        def select(file: Path) -> list[str]:
            return [part.format(file=file, out=out) for part in SELECT]

        cases = {
            "`ecosel --help`": ["-m", "ecosel", "--help"],
            "select, CSV of 1,000 rows": select(small),
            "select, CSV of 1e6 rows": select(large),
            "select, Parquet of 1e6 rows": select(large.with_suffix(".parquet")),
            "pandas + moocore, CSV of 1e6 rows, joint front only": ["-c", PANDAS, str(large), str(out)],
        }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for repeat in range(arguments.repeats + 1):
            for name, case in cases.items():  # in turn, so that a slow minute of the machine meets all of them
                result = measured(case)
                if repeat:  # the first warms the file cache
                    runs[name].append(result)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          + ", ".join(f"{name} {version(name)}" for name in ("ecosel", "polars", "numpy", "pandas", "moocore"))
          + f", n = {arguments.repeats}\n")  # fmt: skip
    print("| process | wall s, median (range) | peak MB |\n| --- | --- | --- |")
    for name, results in runs.items():
        walls = [wall for wall, _ in results]
        print(
            f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f}) | {max(mb for _, mb in results):.0f} |"
        )


if __name__ == "__main__":
    main()
