"""Time ecosel.dominance beside its two best peers on the same seeded tables, and compare every answer.

    pip install paretoset moocore
    python tests/benchmarks/fronts.py [--only mask|floor|rank|volume|pairs|memory|start] [--quick] [--cpu]

One process, numba compiled before; each figure is the least of 7 timings (3 above half a second) of a call, ours and the
peers' in turn, in milliseconds, and the ratio is the best peer's time by ours: above 1 we are faster. A peer is left out of
a cell where it would take over 10 s (paretoset on large fronts). Copies of front rows are all kept.

uniform: small front. sphere: every row on the front. ties: correlated, 32 levels, 20 % copies. qsphere: large front of
whole numbers with copies.
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
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from ecosel import dominance

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CELLS = [
    *(("uniform", n, d) for d in (2, 3, 4, 6, 8) for n in (10**3, 10**4, 10**5, 10**6)),
    *(("uniform", 10**7, d) for d in (2, 4)),
    *(("sphere", n, d) for d in (2, 3, 4) for n in (10**3, 10**4, 10**5, 10**6)),
    *(("sphere", n, d) for d in (6, 8) for n in (10**3, 10**4, 10**5)),
    *(("ties", n, d) for d in (2, 3, 4, 6, 8) for n in (10**3, 10**4, 10**5, 10**6)),
    ("ties", 10**7, 2),
    *(("qsphere", n, d) for n, d in ((10**3, 2), (10**5, 2), (10**3, 3), (10**5, 3), (10**3, 4))),
]


def table(kind: str, n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng([2019, n, d])
    if kind == "uniform":
        return rng.random((n, d))
    if kind == "ties":
        cells = np.floor(32 * (0.7 * rng.random((n, 1)) + 0.3 * rng.random((n, d))))
    else:
        cells = np.abs(rng.standard_normal((n, d)))
        cells /= np.linalg.norm(cells, axis=1, keepdims=True)
        if kind == "sphere":
            return cells
        cells = np.round(256 * cells)
    cells[rng.integers(0, n, n // 5)] = cells[rng.integers(0, n, n // 5)]
    return cells


def milliseconds(calls: Mapping[str, Callable[[], Any]], /) -> dict[str, float]:
    """Return the least of 7 timings (3 above half a second) of each call, in turn, so that others disturb all alike."""
    clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
    repeats, best = {}, dict.fromkeys(calls, float("inf"))
    for name, call in calls.items():
        call()
        start = clock()
        call()
        once = clock() - start
        repeats[name] = max(1, min(200, int(0.005 / max(once, 1e-6)))), 3 if once > 0.5 else 7
    for turn in range(7):
        for name, call in calls.items():
            times, turns = repeats[name]
            if turn < turns:
                start = clock()
                for _ in range(times):
                    call()
                best[name] = min(best[name], (clock() - start) / times)
    return {name: 1e3 * seconds for name, seconds in best.items()}


def masks(cells: list[tuple[str, int, int]]) -> None:
    import moocore
    from paretoset import paretoset

    print("| table | rows | columns | front | ours ms | moocore ms | paretoset ms | best peer / ours |\n" + "| --- " * 8 + "|")
    slow = {"sphere": 10**3, "qsphere": 10**3}
    for kind, n, d in cells:
        costs = table(kind, n, d)
        ours = dominance.nondominated_mask(costs)
        assert (ours == moocore.is_nondominated(costs, keep_weakly=True)).all(), (kind, n, d)
        calls: dict[str, Callable[[], Any]] = {
            "ours": partial(dominance.nondominated_mask, costs),
            "moocore": partial(moocore.is_nondominated, costs, keep_weakly=True),
        }
        if n <= slow.get(kind, 10**7) and not (d == 8 and n == 10**6 and kind == "uniform"):
            assert (ours == paretoset(costs, distinct=False)).all(), (kind, n, d)
            calls["paretoset"] = partial(paretoset, costs, distinct=False)
        times = milliseconds(calls)
        mine = times.pop("ours")
        theirs = f"{times['paretoset']:.3g}" if "paretoset" in times else "-"
        print(f"| {kind} | {n:.0e} | {d} | {ours.sum()} | {mine:.3g} | {times['moocore']:.3g} | {theirs} "
              f"| {min(times.values()) / mine:.2f} |", flush=True)  # fmt: skip


def floors() -> None:
    """Hold fronts of 1e6 rows against what no algorithm can go below: one read of the table, and a sort of one column."""
    from ecosel.dominance import compiled, ranks

    @compiled.kernel
    def read(costs: np.ndarray, start: int, stop: int) -> int:
        count = 0
        for i in range(start, stop):
            for j in range(costs.shape[1]):
                count += costs[i, j] > 0.5
        return count

    print("| table of 1e6 rows | columns | ours ms | one read ms | one radix sort ms | ours / floor |\n" + "| --- " * 6 + "|")
    for kind in ("uniform", "ties", "sphere"):
        for d in (2, 3, 4):
            costs = table(kind, 10**6, d)
            times = milliseconds(
                {
                    "ours": partial(dominance.nondominated_mask, costs),
                    "read": partial(compiled.in_parts, partial(read, costs), len(costs), smallest=10**5),
                    "sort": partial(ranks.ranks_and_orders, costs[:, :1]),
                }
            )
            floor = times["read"] + (times["sort"] if kind == "sphere" else 0)
            print(f"| {kind} | {d} | {times['ours']:.3g} | {times['read']:.3g} | {times['sort']:.3g} "
                  f"| {times['ours'] / floor:.1f} |", flush=True)  # fmt: skip


def layers() -> None:
    import moocore

    print("| layers of uniform, rows | columns | layers | ours ms | moocore ms | moocore / ours |\n" + "| --- " * 6 + "|")
    for d in (2, 3, 4):
        for n in (10**3, 10**4, 10**5):
            costs = table("uniform", n, d)
            ours = dominance.nondominated_rank(costs)
            assert (ours == moocore.pareto_rank(costs)).all(), (n, d)
            times = milliseconds(
                {
                    "ours": partial(dominance.nondominated_rank, costs),
                    "moocore": partial(moocore.pareto_rank, costs),
                }
            )
            print(f"| {n:.0e} | {d} | {ours.max() + 1} | {times['ours']:.3g} | {times['moocore']:.3g} "
                  f"| {times['moocore'] / times['ours']:.2f} |", flush=True)  # fmt: skip


def volumes() -> None:
    import moocore

    print("| hypervolume of | rows | columns | ours ms | moocore ms | moocore / ours |\n" + "| --- " * 6 + "|")
    for kind in ("uniform", "sphere"):
        for d in (2, 3):
            for n in (10**4, 10**5):
                costs, corner = table(kind, n, d), np.full(d, 1.1)
                ours = dominance.hypervolume(costs, corner)
                assert abs(ours - moocore.hypervolume(costs, ref=corner)) < 1e-9 * ours, (kind, n, d)
                times = milliseconds(
                    {
                        "ours": partial(dominance.hypervolume, costs, corner),
                        "moocore": partial(moocore.hypervolume, costs, ref=corner),
                    }
                )
                print(f"| {kind} | {n:.0e} | {d} | {times['ours']:.3g} | {times['moocore']:.3g} "
                      f"| {times['moocore'] / times['ours']:.2f} |", flush=True)  # fmt: skip


def pairs() -> None:
    print("| 1e6 rows, one column against seven | one pair ms | seven pairs ms | ratio |\n" + "| --- " * 4 + "|")
    rng = np.random.default_rng(2019)
    archive = np.exp(rng.normal(size=(10**6, 1)) + 0.5 * rng.normal(size=(10**6, 8)))
    circle = table("sphere", 10**6, 2)
    whole_front = np.column_stack([circle[:, 0], *(circle[:, 1] ** k for k in range(1, 8))])
    for name, cells in (("uniform", rng.random((10**6, 8))), ("correlated", archive), ("all on the front", whole_front)):
        two = np.ascontiguousarray(cells[:, :2])
        quality, costs = np.ascontiguousarray(cells[:, 0]), np.ascontiguousarray(cells[:, 1:])
        times = milliseconds(
            {
                "one": partial(dominance.nondominated_mask, two),
                "seven": partial(dominance.nondominated_pairs, quality, costs),
            }
        )
        print(f"| {name} | {times['one']:.3g} | {times['seven']:.3g} | {times['seven'] / times['one']:.2f} |", flush=True)


MEMORY = """
import sys, numpy as np
sys.path.insert(0, {root!r})
from tests.benchmarks.fronts import table
from ecosel.dominance import nondominated_mask
nondominated_mask(np.random.default_rng(0).random((300_000, {d}))), nondominated_mask(table("sphere", 20_000, {d}))
costs = table({kind!r}, {n}, {d})
def now(): return int(open("/proc/self/statm").read().split()[1]) * 4096
open("/proc/self/clear_refs", "w").write("5")  # the peak starts from here
before = now()
nondominated_mask(costs)
high = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print((high - before) / costs.nbytes)
"""


def memory() -> None:
    print("| table | rows | columns | peak above the input, in inputs |\n" + "| --- " * 4 + "|")
    for kind, n, d in [
        ("uniform", 10**7, 2),
        ("uniform", 10**6, 8),
        *(("sphere", 10**6, d) for d in (2, 3, 4)),
        ("sphere", 10**5, 8),
    ]:
        code = MEMORY.format(root=ROOT, kind=kind, n=n, d=d)
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        print(f"| {kind} | {n:.0e} | {d} | {float(out):.2f} |", flush=True)


START = """
import time
import numpy as np
start = time.process_time()
import numba
imported = time.process_time()
{code}
first = time.process_time()
call()
print(imported - start, first - imported - (time.process_time() - first))
"""
ONE_LINE = """
from one_line import call
call()
"""
SELECTS = """
from ecosel.dominance import _front_by_sorting
costs = np.abs(np.random.default_rng(0).normal(size=(20_000, {d})))
costs /= np.linalg.norm(costs, axis=1, keepdims=True)
call = lambda: _front_by_sorting(costs)
call()
"""


def start() -> None:
    print(
        "| a large front of d columns | import numba CPU s | first process CPU s | later process CPU s |\n" + "| --- " * 4 + "|"
    )
    codes = {"a one-line numba function, for comparison": ONE_LINE} | {str(d): SELECTS.format(d=d) for d in (2, 3, 4)}
    for name, code in codes.items():
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "one_line.py"), "w") as file:
                file.write("import numba\n@numba.njit(cache=True)\ndef call():\n    return 1\n")
            path = os.pathsep.join([folder, ROOT])
            runs = []
            for _ in range(5):
                out = subprocess.run([sys.executable, "-c", START.format(code=code)], capture_output=True, text=True, check=True,
                                     env=os.environ | {"NUMBA_CACHE_DIR": folder, "PYTHONPATH": path}).stdout  # fmt: skip
                runs.append([float(part) for part in out.split()])
        later = statistics.median(run[1] for run in runs[1:])
        print(f"| {name} | {statistics.median(run[0] for run in runs):.2f} | {runs[0][1]:.2f} | {later:.3f} |", flush=True)


def processor() -> str:
    """Return the name of the processor as Linux gives it, elsewhere that of the architecture."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    cells = list(CELLS)
    parts: dict[str, Callable[[], None]] = {
        "mask": lambda: masks(cells), "floor": floors, "rank": layers, "volume": volumes, "pairs": pairs, "memory": memory,
        "start": start,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=parts)
    parser.add_argument("--quick", action="store_true", help="tables of at most 1e5 rows")
    parser.add_argument(
        "--cpu", action="store_true", help="count the processor time of all threads: for a machine with other work"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        cells = [cell for cell in CELLS if cell[1] <= 10**5]
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}, "
          f"Python {platform.python_version()}, "
          + ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "moocore", "paretoset")))  # fmt: skip
    for name, part in parts.items():
        if arguments.only in (None, name):
            print()
            part()
            print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
