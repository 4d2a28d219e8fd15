"""Find the front with NumPy alone: nothing to compile or load, and quick if the elimination leaves few rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]


def best_in_all(columns: list[Costs], /) -> NDArray[np.int64]:
    """Return the positions of the rows that are best in every column, and so dominate all others; there may be none."""
    return np.flatnonzero(np.logical_and.reduce([column == column.min(initial=np.inf) for column in columns]))


def front(columns: list[Costs], /, *, most: float = math.inf) -> NDArray[np.int64] | None:
    """Return the positions of the rows that no other dominates, including copies, in no order; d columns [n].

    For three and more columns, return None once more than most values were compared.
    """
    if len(columns) == 1:
        return np.flatnonzero(columns[0] == columns[0].min(initial=np.inf))
    return _sweep(columns[0], columns[1]) if len(columns) == 2 else _filter(columns, most=most)


def layers(columns: list[Costs], /, *, most: int) -> NDArray[np.int64] | None:
    """Return the layer [n] of each row, one front after the other; None once more than about most values were compared."""
    n, d = len(columns[0]), len(columns)
    layer, rows = np.zeros(n, dtype=np.int64), np.arange(n)
    while len(rows):
        found = front(columns, most=most)
        most -= _ROUND + d * len(rows) * (len(rows).bit_length() if found is None or d == 2 else len(found))
        if found is None or most < 0:
            return None
        stays = np.ones(len(rows), dtype=np.bool_)
        stays[found] = False
        rows, columns = rows[stays], [column[stays] for column in columns]
        layer[rows] += 1
    return layer


# The cost of a front of a few rows, in values compared.
_ROUND = 300_000
# Rows compared with each other at once, and dominance tests whose bytes fit into the second-level cache.
_ALL_PAIRS, _TESTS = 512, 1 << 19
_SAMPLE = 1024
# A strong row is not worth a pass over all rows if it removes fewer than one in this many of the sampled rows;
# a round that removes fewer than half of the rows is the last.
_WORTH = 128
# Rows in a block: its d columns fit into the second-level cache while every strong row passes over them.
_BLOCK = 1 << 14


def eliminate(columns: list[Costs], /, *, everywhere: bool = False) -> tuple[NDArray[np.int64], list[Costs]]:
    """Return the rows that a few strong rows leave, and their columns; one read of the table per round.

    everywhere: remove only rows that are larger in every column, which are not on the front of any subset of columns either.

    The idea is the elimination filter of LESS (Godfrey et al. 2007); the strong rows are those on a sample's front that
    together dominate most of the sample. On a small front a handful of them removes nearly everything.
    """
    rows = None
    while (n := len(columns[0])) > 16 * _SAMPLE:
        strong = _strong_rows([column[:: n // _SAMPLE] for column in columns])
        beaten = np.empty(n, dtype=np.bool_)
        for start in range(0, n, _BLOCK):
            block = [column[start : start + _BLOCK] for column in columns]
            mine = beaten[start : start + _BLOCK]
            mine[:] = False
            for pivot in strong:
                # strictly worse in the first column: a copy of the pivot always stays
                worse = block[0] > pivot[0]
                for value, column in zip(pivot[1:], block[1:], strict=True):
                    worse &= (column > value) if everywhere else (column >= value)
                mine |= worse
        if not beaten.any():
            break
        keep = np.flatnonzero(~beaten)
        rows = keep if rows is None else rows[keep]
        columns = [column[keep] for column in columns]
        if 2 * len(keep) > n:
            break
    return (np.arange(n) if rows is None else rows), columns


def _strong_rows(sample: list[Costs]) -> list[list[float]]:
    """Choose rows of the sample, each the one that dominates most of those left by the rows before it."""
    front = _filter(sample)
    assert front is not None
    beaten = np.ones((len(front), len(sample[0])), dtype=np.bool_)
    smaller = np.zeros_like(beaten)
    for column in sample:
        beaten &= column[front, None] <= column
        smaller |= column[front, None] < column
    beaten &= smaller
    strong: list[list[float]] = []
    while True:
        best = int(beaten.sum(axis=1).argmax())
        if beaten[best].sum() * _WORTH < len(sample[0]):
            return strong
        strong.append([float(column[front[best]]) for column in sample])
        beaten &= ~beaten[best]


def fronts(tables: NDArray[np.float64]) -> Mask:
    """Mark the front of each of r tables [r, n, d] in a mask [r, n], including copies: every row against every other."""
    r, n, _ = tables.shape
    front = np.empty((r, n), dtype=np.bool_)
    step = max(1, _TESTS // max(1, n * n))
    columns = np.ascontiguousarray(np.moveaxis(tables, 2, 0))
    for start in range(0, r, step):
        part = columns[:, start : start + step]
        no_larger = np.ones((part.shape[1], n, n), dtype=np.bool_)
        smaller = np.zeros_like(no_larger)
        for column in part:
            no_larger &= column[:, None, :] <= column[:, :, None]
            smaller |= column[:, None, :] < column[:, :, None]
        front[start : start + step] = ~(no_larger & smaller).any(axis=2)
    return front


def dominated_by(strong: list[Costs], columns: list[Costs]) -> Mask:
    """Mark the rows of columns, d arrays [n], that a row of strong, d arrays [m], dominates."""
    n, m = len(columns[0]), len(strong[0])
    dominated = np.zeros(n, dtype=np.bool_)
    step = max(1, _TESTS // max(1, m))
    for start in range(0, n if m else 0, step):
        part = [column[start : start + step, None] for column in columns]
        no_larger = strong[0] <= part[0]
        for mine, other in zip(part[1:], strong[1:], strict=True):
            no_larger &= other <= mine
        if strong is columns:
            np.fill_diagonal(no_larger[:, start:], False)
        for mine, other in zip(part, strong, strict=True):
            rows = np.flatnonzero(no_larger.any(axis=1) & ~dominated[start : start + step])
            if not len(rows):
                break
            # a row that is nowhere larger is a copy, or dominates if it is smaller in some column
            dominated[start + rows] |= (no_larger[rows] & (other < mine[rows])).any(axis=1)
    return dominated


def _sweep(x: Costs, y: Costs) -> NDArray[np.int64]:
    """Sort by (x, y) and keep the rows whose y is below all before, and their copies: O(n log n) (Kung et al. 1975)."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    # smallest y among the rows with a smaller x; within equal x only the smallest y stays
    lowest = np.minimum.accumulate(y)
    first_of_x = np.searchsorted(x, x, side="left")
    before = np.where(first_of_x > 0, lowest[np.maximum(first_of_x - 1, 0)], np.inf)
    front: NDArray[np.int64] = order[(y < before) & (y == y[first_of_x])]
    return front


def _filter(columns: list[Costs], *, most: float = math.inf) -> NDArray[np.int64] | None:
    """Walk the rows by rising sum, one block at a time: its front is on the front, and removes the rows that it dominates.

    O(n · front) (SFS, Chomicki et al. 2003).
    """
    if len(columns[0]) <= _ALL_PAIRS:
        return np.flatnonzero(~dominated_by(columns, columns))
    total = np.zeros(len(columns[0]))
    for column in columns:
        lowest = column.min()
        some = column[:: 1 + len(column) // 512]
        middle = np.partition(some, len(some) // 2)[len(some) // 2]  # np.median would import numpy.ma, which takes longer
        span = 0.5 * middle - 0.5 * lowest
        with np.errstate(over="ignore"):
            total += np.clip(column / (span if span > 0 else max(1.0, abs(lowest))), -1e300, 1e300) / len(columns)
    # sums equal by rounding: the order by columns decides, in which a dominating row also comes first
    left = np.lexsort((*columns[::-1], total))
    columns = [column[left] for column in columns]
    front = []
    made = 0
    block = 64
    while len(left):
        first = [column[:block] for column in columns]
        mine = np.flatnonzero(~dominated_by(first, first))
        made += (min(block, len(left)) ** 2 + len(left) * len(mine)) * len(columns)
        if made > most:
            return None
        front.append(left[mine])
        left, columns = left[block:], [column[block:] for column in columns]
        stays = ~dominated_by([column[mine] for column in first], columns)
        left, columns = left[stays], [column[stays] for column in columns]
        block = _ALL_PAIRS
    return np.concatenate(front)
