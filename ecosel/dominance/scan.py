"""Drop most dominated rows in one read of the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# Rows sampled to estimate how much a row dominates: one in this many of a small table, and at most this many.
_SAMPLED, _SAMPLE = 64, 256
# Rows searched for strong ones in a large table, of which one in this many may be a candidate.
_SEARCHED, _CANDIDATE = 1 << 14, 128
# A strong row must dominate more than one in this many of the sample rows that those before it leave.
_WORTH = 64
# At most this many strong rows are tried, on blocks of this many rows.
_STRONG, _BLOCK = 16, 256
# With fewer rows, a thread costs more than it saves.
_ROWS_A_THREAD = 1 << 17


def eliminate(costs: Costs, /) -> Rows | None:
    """Return the rows that a few strong rows leave, ascending; None if the sum of a row is not finite.

    O(n · strong rows), at most 16: the elimination filter of LESS (Godfrey et al.
    2007). Strong rows are chosen in two steps, each by how much of a sample they dominate together: from the sample,
    then from the rows that these leave of a part of a large table, which are nearer to the front. A large front has none.
    """
    n, d = costs.shape
    scan = scan_for(d)
    step = max(_SAMPLED, n // _SAMPLE)
    sample = costs[step // 2 :: step].T.copy()
    strong = strong_rows(sample, sample)
    if len(strong) and n > 16 * _SEARCHED:
        searched = np.ascontiguousarray(costs[:: n // _SEARCHED])
        kept = np.empty(len(searched), dtype=np.int64)
        count = scan(searched, strong, 0, len(searched), kept)
        if count > 0:
            strong = strong_rows(searched[kept[: min(count, n // _CANDIDATE)]].T.copy(), sample)
    kept = np.empty(n, dtype=np.int64)
    bounds = part_bounds(n, smallest=_ROWS_A_THREAD)
    counts = in_parts(lambda start, stop: scan(costs, strong, start, stop, kept[start:stop]), n, smallest=_ROWS_A_THREAD)
    if min(counts) < 0:
        return None
    if len(counts) == 1:
        return kept[: counts[0]]
    return np.concatenate([kept[start:][:count] for start, count in zip(bounds, counts, strict=False)])


def strong_rows(rows: Costs, sample: Costs, /) -> Costs:
    """Choose greedily from rows [d, c], each the one that dominates most of the sample [d, s] left by those before it.

    They are returned as [k, 1 + d], with the sum of each row first: a row's sum is smaller than that of any row that it
    dominates, or equal by rounding.
    """
    (d, c), s = rows.shape, sample.shape[1]
    strong = np.empty((_STRONG, 1 + d))
    beaten, left = np.empty((c, s), dtype=np.uint8), np.ones(s, dtype=np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        sums, total = add_up(rows), add_up(sample)
    return strong[: choose(rows, sums, sample, total, s // _WORTH, beaten, left, strong)]


def add_up(columns: Costs) -> Costs:
    """Return the sum of each row of columns [d, n], in the order in which the scan adds."""
    total: Costs = columns[0].copy()
    for column in columns[1:]:
        total += column
    return total


@kernel
def choose(rows: Costs, sums: Costs, sample: Costs, total: Costs, worth: int, beaten: Bytes, left: Bytes, strong: Costs) -> int:
    """Write the strong rows; return their number. beaten [c, s] and left [s], initially 1, are overwritten."""
    (d, c), s = rows.shape, sample.shape[1]
    for f in range(c):
        for i in range(s):
            beaten[f, i] = np.uint8(sums[f] < total[i])
        for j in range(d):
            value = rows[j, f]
            for i in range(s):
                beaten[f, i] &= np.uint8(value <= sample[j, i])
    count = 0
    while count < len(strong):
        best, most = -1, worth
        for f in range(c):
            gain = 0
            for i in range(s):
                gain += beaten[f, i] & left[i]
            if gain > most:
                best, most = f, gain
        if best < 0:
            break
        strong[count, 0] = sums[best]
        for j in range(d):
            strong[count, 1 + j] = rows[j, best]
        count += 1
        for i in range(s):
            left[i] &= 1 - beaten[best, i]
    return count


@cache
def scan_for(d: int) -> Callable[[Costs, Costs, int, int, Rows], int]:
    """Return the scan for d columns, compiled for that number."""

    @kernel
    def scan(costs: Costs, strong: Costs, start: int, stop: int, kept: Rows) -> int:
        """Write the rows of costs[start:stop] that no strong row dominates to kept, and some that are dominated.

        Return their number, or -1 if a sum is not finite. A block of rows is turned into columns, which stay in the
        first-level cache while each strong row is compared with all of them at once.
        """
        column, total = np.empty((d, _BLOCK)), np.empty(_BLOCK)
        gone, mine = np.empty(_BLOCK, dtype=np.uint8), np.empty(_BLOCK, dtype=np.uint8)
        count = 0
        for first in range(start, stop, _BLOCK):
            size = _BLOCK if first + _BLOCK < stop else stop - first
            for i in range(size):
                sum_of_row = 0.0
                for j in range(d):
                    column[j, i] = costs[first + i, j]
                    sum_of_row += column[j, i]
                total[i] = sum_of_row
            bad = np.uint8(0)
            for i in range(size):
                bad |= np.uint8(total[i] - total[i] != 0.0)
            if bad:
                return -1
            for i in range(_BLOCK):
                gone[i] = np.uint8(0)
            for k in range(len(strong)):
                value = strong[k, 0]
                for i in range(_BLOCK):
                    mine[i] = np.uint8(value < total[i])
                for j in range(d):
                    value = strong[k, 1 + j]
                    for i in range(_BLOCK):
                        mine[i] &= np.uint8(value <= column[j, i])
                for i in range(_BLOCK):
                    gone[i] |= mine[i]
            for i in range(size):
                kept[count] = first + i
                count += 1 - gone[i]
        return count

    return scan


@kernel
def window_front(costs: Costs, front: Rows, rate: int) -> int:
    """Write the front of costs [n, d] to front, including copies; return its size, -2 for values that are not finite.

    Return -1 if that takes more than the allowed comparisons per row, or more room.
    Block nested loops (Börzsönyi et al. 2001): each row against the rows not dominated so far, with the last that dominated
    moved to the front of the window: O(n · front).
    """
    n, d = costs.shape
    size = 0
    left = 64 * rate
    for i in range(n):
        nothing = 0.0
        for j in range(d):
            nothing += costs[i, j] * 0.0  # NaN for NaN and infinity
        if nothing != 0.0:
            return -2
        k = 0
        dominated = False
        left += rate
        while k < size:
            left -= 1
            row = front[k]
            # 0: equal so far, 1: the window's row is better somewhere, 2: this row is, 3: both
            state = 0
            for j in range(d):
                if costs[row, j] < costs[i, j]:
                    state |= 1
                elif costs[row, j] > costs[i, j]:
                    state |= 2
                if state == 3:
                    break
            if state == 1:
                dominated = True
                front[k], front[0] = front[0], row
                break
            if state == 2:
                size -= 1
                front[k] = front[size]
            else:
                k += 1
        if not dominated:
            if size == len(front) or left < 0:
                return -1
            front[size] = i
            size += 1
    return size
