"""Time ecosel.dominance beside its two best peers on the same seeded tables, and compare every answer.

    pip install paretoset moocore
    python tests/benchmarks/fronts.py [--only mask|rank|pairs|memory|start] [--quick]

One process, numba compiled before; each figure is the median of 5 timings (3 above one second) of a call, in
milliseconds, and the ratio is the best peer's time by ours: above 1 we are faster. A peer is left out of a cell where it
would take over 10 s (paretoset on large fronts). Copies of front rows are all kept.

uniform: small front. sphere: every row on the front. ties: correlated, 32 levels, 20 % copies. qsphere: large front of
whole numbers with copies.
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
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from ecosel import dominance

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


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    calls = max(1, min(200, int(0.02 / max(once, 1e-6))))
    runs = []
    for _ in range(3 if once > 1 else 5):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        runs.append((time.perf_counter() - start) / calls)
    return 1e3 * statistics.median(runs)


def masks(cells: list[tuple[str, int, int]]) -> None:
    import moocore
    from paretoset import paretoset

    print("| table | rows | columns | front | ours ms | moocore ms | paretoset ms | best peer / ours |\n" + "| --- " * 8 + "|")
    slow = {"sphere": 10**3, "qsphere": 10**3}
    for kind, n, d in cells:
        costs = table(kind, n, d)
        ours = dominance.nondominated_mask(costs)
        assert (ours == moocore.is_nondominated(costs, keep_weakly=True)).all(), (kind, n, d)
        peers = {"moocore": milliseconds(lambda: moocore.is_nondominated(costs, keep_weakly=True))}  # noqa: B023
        if n <= slow.get(kind, 10**7) and not (d == 8 and n == 10**6 and kind == "uniform"):
            assert (ours == paretoset(costs, distinct=False)).all(), (kind, n, d)
            peers["paretoset"] = milliseconds(lambda: paretoset(costs, distinct=False))  # noqa: B023
        mine = milliseconds(lambda: dominance.nondominated_mask(costs))  # noqa: B023
        theirs = f"{peers['paretoset']:.3g}" if "paretoset" in peers else "-"
        print(f"| {kind} | {n:.0e} | {d} | {ours.sum()} | {mine:.3g} | {peers['moocore']:.3g} | {theirs} "
              f"| {min(peers.values()) / mine:.2f} |", flush=True)  # fmt: skip


def ranks() -> None:
    import moocore

    print("| layers of uniform, rows | columns | layers | ours ms | moocore ms | moocore / ours |\n" + "| --- " * 6 + "|")
    for d in (2, 3, 4):
        for n in (10**3, 10**4, 10**5):
            costs = table("uniform", n, d)
            ours = dominance.nondominated_rank(costs)
            assert (ours == moocore.pareto_rank(costs)).all(), (n, d)
            mine = milliseconds(lambda: dominance.nondominated_rank(costs))  # noqa: B023
            theirs = milliseconds(lambda: moocore.pareto_rank(costs))  # noqa: B023
            print(f"| {n:.0e} | {d} | {ours.max() + 1} | {mine:.3g} | {theirs:.3g} | {theirs / mine:.2f} |", flush=True)


def pairs() -> None:
    print("| 1e6 rows, one column against seven | one pair ms | seven pairs ms | ratio |\n" + "| --- " * 4 + "|")
    rng = np.random.default_rng(2019)
    archive = np.exp(rng.normal(size=(10**6, 1)) + 0.5 * rng.normal(size=(10**6, 8)))
    circle = table("sphere", 10**6, 2)
    whole_front = np.column_stack([circle[:, 0], *(circle[:, 1] ** k for k in range(1, 8))])
    for name, cells in (("uniform", rng.random((10**6, 8))), ("correlated", archive), ("all on the front", whole_front)):
        two = np.ascontiguousarray(cells[:, :2])
        quality, costs = np.ascontiguousarray(cells[:, 0]), np.ascontiguousarray(cells[:, 1:])
        one = milliseconds(lambda: dominance.nondominated_mask(two))  # noqa: B023
        seven = milliseconds(lambda: dominance.nondominated_pairs(quality, costs))  # noqa: B023
        print(f"| {name} | {one:.3g} | {seven:.3g} | {seven / one:.2f} |", flush=True)


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
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for kind, n, d in [
        ("uniform", 10**7, 2),
        ("uniform", 10**6, 8),
        *(("sphere", 10**6, d) for d in (2, 3, 4)),
        ("sphere", 10**5, 8),
    ]:
        code = MEMORY.format(root=root, kind=kind, n=n, d=d)
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        print(f"| {kind} | {n:.0e} | {d} | {float(out):.2f} |", flush=True)


START = """
import time
import numpy as np, polars
start = time.perf_counter()
import numba
imported = time.perf_counter()
from ecosel.dominance import _front_by_sorting
costs = np.random.default_rng(0).random((20_000, {d}))
_front_by_sorting(costs)
first = time.perf_counter()
_front_by_sorting(costs)
print(imported - start, first - imported - (time.perf_counter() - first))
"""


def start() -> None:
    print(
        "| what select compiles or loads for a large front of d columns | import numba s | first process s | later process s |\n"
        + "| --- " * 4
        + "|"
    )
    for d in (2, 3, 4):
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for _ in range(4):
                out = subprocess.run([sys.executable, "-c", START.format(d=d)], capture_output=True, text=True, check=True,
                                     env=os.environ | {"NUMBA_CACHE_DIR": folder}).stdout  # fmt: skip
                runs.append([float(part) for part in out.split()])
        later = statistics.median(run[1] for run in runs[1:])
        print(f"| {d} | {statistics.median(run[0] for run in runs):.2f} | {runs[0][1]:.2f} | {later:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["mask", "rank", "pairs", "memory", "start"])
    parser.add_argument("--quick", action="store_true", help="tables of at most 1e5 rows")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          + ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "moocore", "paretoset")))  # fmt: skip
    cells = [cell for cell in CELLS if not arguments.quick or cell[1] <= 10**5]
    parts: dict[str, Callable[[], None]] = {
        "mask": lambda: masks(cells), "rank": ranks, "pairs": pairs, "memory": memory, "start": start,
    }  # fmt: skip
    for name, part in parts.items():
        if arguments.only in (None, name):
            print()
            part()


if __name__ == "__main__":
    main()
