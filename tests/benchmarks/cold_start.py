"""Time `ecosel select` as a whole process beside pandas + moocore: python tests/benchmarks/cold_start.py [--repeats 7].

Every figure is a new process with the file cache and numba's cache warm: wall seconds (median, and the range) and the largest peak of
resident memory. The archive is drawn with a fixed seed: 8 columns, about 51 bytes a row. ecosel takes the joint front of
four objectives, three pair fronts, the picks and their win shares; the peer takes the joint front and nothing else. Two
archives of 1,000 rows state the errors of their measurements, which `select` and `report` resample 1,000 times.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks.fronts import processor

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


def write_measured(front: str, csv: Path) -> None:
    """Write 1,000 rows of three objectives with stated errors, about 20 or 300 of them on the front."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(7 if front == "20" else 2019)
    if front == "20":
        x = np.exp(0.25 * rng.normal(size=(1_000, 1)) + 0.26 * rng.normal(size=(1_000, 3)))
    else:
        x = np.abs(rng.normal(size=(1_000, 3)))
        x *= (1 + 0.22 * rng.random((1_000, 1)) ** 1.5) / np.linalg.norm(x, axis=1, keepdims=True)
    accuracy, time_s, energy_j = 1 - 0.3 * x[:, 0] / x[:, 0].max(), 1e-3 * x[:, 1], 1e-2 * x[:, 2]
    pl.DataFrame(
        {
            "model": [f"net_{k:04d}" for k in range(1_000)],
            "accuracy": accuracy, "accuracy_std": np.full(1_000, 0.002),
            "inference_time_s": time_s, "inference_time_s_low": 0.98 * time_s, "inference_time_s_high": 1.03 * time_s,
            "energy_per_inference_j": energy_j, "energy_per_inference_j_low": 0.98 * energy_j,
            "energy_per_inference_j_high": 1.02 * energy_j,
        }
    ).write_csv(csv)  # fmt: skip


def kernels(csv: Path) -> str:
    """Return the size of the joint front and the milliseconds of it and of all pair fronts, compiled kernels loaded."""
    import numpy as np
    import polars as pl

    from ecosel.dominance import nondominated_mask, nondominated_pairs

    frame = pl.read_csv(csv)
    names = [name for name in (*COLUMNS, "inference_time_s", "energy_per_inference_j") if name in frame.columns]
    costs = np.column_stack([(-1 if name == "accuracy" else 1) * frame[name].cast(pl.Float64).to_numpy() for name in names])
    best = np.inf
    for _ in range(6):  # the first compiles or loads
        start = time.perf_counter()
        front = nondominated_mask(costs)
        nondominated_pairs(costs[:, 0], costs[:, 1:])
        best = min(best, time.perf_counter() - start)
    return f"{front.sum()} | {1e3 * best:.2f}"


def measured(arguments: list[str]) -> tuple[float, float, float]:
    """Run a fresh interpreter; return wall seconds, processor seconds and peak resident memory in MB."""
    start = time.perf_counter()
    # as installed: modules compiled once
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {arguments}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="only the archives of 1,000 rows")
    parser.add_argument("--write", nargs=2, metavar=("ROWS", "CSV"), help=argparse.SUPPRESS)
    parser.add_argument("--measured", nargs=2, metavar=("FRONT", "CSV"), help=argparse.SUPPRESS)
    parser.add_argument("--kernels", metavar="CSV", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # in a process of its own: a child's peak starts at that of the process it is forked from
    if arguments.write:
        write_archive(int(arguments.write[0]), Path(arguments.write[1]))
    elif arguments.measured:
        write_measured(arguments.measured[0], Path(arguments.measured[1]))
    elif arguments.kernels:
        print(kernels(Path(arguments.kernels)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), arguments.repeats, small_only=arguments.small)


def compare(folder: Path, repeats: int, *, small_only: bool) -> None:
    large, small, out, page = (folder / name for name in ("large.csv", "small.csv", "out.csv", "page.html"))
    files = {"20": folder / "20.csv", "300": folder / "300.csv"}
    for rows, csv in ((1_000, small),) if small_only else ((1_000, small), (1_000_000, large)):
        subprocess.run([sys.executable, __file__, "--write", str(rows), str(csv)], check=True)
    for front, csv in files.items():
        subprocess.run([sys.executable, __file__, "--measured", front, str(csv)], check=True)

    def select(file: Path) -> list[str]:
        return [part.format(file=file, out=out) for part in SELECT]

    cases: dict[str, tuple[list[str], Path | None]] = {
        "`ecosel --help`": (["-m", "ecosel", "--help"], None),
        "select, CSV of 1,000 rows": (select(small), small),
        "select, CSV of 1e6 rows": (select(large), large),
        "select, Parquet of 1e6 rows": (select(large.with_suffix(".parquet")), None),
        "pandas + moocore, CSV of 1e6 rows, joint front only": (["-c", PANDAS, str(large), str(out)], None),
    }
    for front, csv in files.items():
        cases[f"select, 1,000 rows with errors, front of about {front}"] = (["-m", "ecosel", "select", str(csv)], csv)
        report = ["-m", "ecosel", "report", str(csv), "--force", "-o", str(page)]
        cases[f"report, 1,000 rows with errors, front of about {front}"] = (report, None)
    if small_only:
        cases = {name: case for name, case in cases.items() if "1e6" not in name}
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
    for repeat in range(repeats + 1):
        for name, (case, _) in cases.items():  # in turn, so that a slow minute of the machine meets all of them
            result = measured(case)
            if repeat:  # the first warms the file cache
                runs[name].append(result)
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}, "
          f"Python {platform.python_version()}, "
          + ", ".join(f"{name} {version(name)}" for name in ("ecosel", "polars", "numpy", "pandas", "moocore"))
          + f", n = {repeats}\n")  # fmt: skip
    print("| process | wall s, median (range) | least CPU s | peak MB | joint front | kernels alone ms |\n" + "| --- " * 6 + "|")
    for name, results in runs.items():
        walls, archive = [wall for wall, _, _ in results], cases[name][1]
        alone = [sys.executable, __file__, "--kernels", str(archive)]
        bare = subprocess.run(alone, capture_output=True, text=True, check=True).stdout.strip() if archive else "- | -"
        print(
            f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f}) "
            f"| {min(cpu for _, cpu, _ in results):.2f} | {max(mb for _, _, mb in results):.0f} | {bare} |"
        )


if __name__ == "__main__":
    main()
