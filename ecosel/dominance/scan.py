"""Drop most dominated rows in one read of the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]

# Rows sampled to say how much a row dominates, at most, and one in how many of a small table.
_SAMPLE, _SAMPLED = 512, 64
# Rows searched for strong ones, at most; of those left, this many of the largest volume are candidates.
_SEARCHED, _CANDIDATES = 1 << 15, 64
# A strong row must dominate this many of the sampled rows that those before it leave.
_WORTH = 2
# Below, a thread costs more than it saves.
_ROWS_A_THREAD = 50_000


def eliminate(costs: Costs) -> tuple[Rows, int]:
    """Return the rows that a few strong rows leave, ascending, and the first row that is not finite (or -1).

    O(n · strong rows), mostly one or two tests a row on a small front: the elimination filter of LESS (Godfrey et al.
    2007). Strong rows are chosen in two steps, each by how much of a sample they dominate together: out of the sample,
    and out of what these leave of a thirtieth of the table, which is nearer to the front. A large front has no strong
    rows, and nothing but the test for finite values is done.
    """
    n, d = costs.shape
    scan = scan_for(d)
    step = max(_SAMPLED, n // _SAMPLE)
    sample = np.ascontiguousarray(costs[step // 2 :: step])
    strong = strongest(sample, sample)
    if len(strong) and n > 4 * _SEARCHED:
        searched = np.ascontiguousarray(costs[:: n // _SEARCHED])
        kept = np.empty(len(searched), dtype=np.int64)
        count = scan(searched, strong, 0, len(searched), kept)
        if count > 0:
            strong = strongest(searched[kept[:count]], sample)
    kept = np.empty(n, dtype=np.int64)
    counts = in_parts(lambda start, stop: scan(costs, strong, start, stop, kept[start:stop]), n, smallest=_ROWS_A_THREAD)
    bad = [-1 - count for count in counts if count < 0]
    if bad:
        return kept[:0], min(bad)
    bounds = part_bounds(n, smallest=_ROWS_A_THREAD)
    return np.concatenate([kept[start:][:count] for start, count in zip(bounds, counts, strict=False)]), -1


def strongest(rows: Costs, sample: Costs) -> Costs:
    """Choose rows that together dominate most of the sample, of those with the largest volume above them."""
    if len(rows) > _CANDIDATES:
        with np.errstate(divide="ignore"):
            volume = np.zeros(len(rows))
            for column, sampled in zip(rows.T, sample.T, strict=True):
                volume += np.log(1 - np.searchsorted(np.sort(sampled), column, side="right") / (len(sample) + 1))
        rows = rows[np.argpartition(-volume, _CANDIDATES)[:_CANDIDATES]]
    return rows[cover(np.ascontiguousarray(rows), sample)]


@kernel
def cover(rows: Costs, sample: Costs) -> Rows:
    """Choose rows greedily, each the one that is below most of the sample (as in the scan) that those before it leave."""
    c, d = rows.shape
    s = len(sample)
    beaten = np.zeros((c, s), dtype=np.uint8)
    for f in range(c):
        for i in range(s):
            below = rows[f, 0] < sample[i, 0]
            for j in range(1, d):
                below &= rows[f, j] <= sample[i, j]
            beaten[f, i] = below
    left = np.ones(s, dtype=np.uint8)
    chosen = np.empty(c, dtype=np.int64)
    count = 0
    while count < c:
        best, best_gain = -1, _WORTH - 1
        for f in range(c):
            gain = 0
            for i in range(s):
                gain += beaten[f, i] & left[i]
            if gain > best_gain:
                best, best_gain = f, gain
        if best < 0:
            break
        chosen[count] = best
        count += 1
        for i in range(s):
            left[i] &= 1 - beaten[best, i]
    return chosen[:count]


@cache
def scan_for(d: int) -> Callable[[Costs, Costs, int, int, Rows], int]:
    """Return the scan of d columns; that the number is known when it is compiled makes it 1.3 to 1.8 times as fast."""

    @kernel
    def scan(costs: Costs, strong: Costs, start: int, stop: int, kept: Rows) -> int:
        """Write the rows of costs[start:stop] that no strong row is below to kept; return how many, or -1 - row if not finite.

        Below: less in the first column, so that copies of a strong row stay, and nowhere more.
        """
        count = 0
        for i in range(start, stop):
            nothing = 0.0
            for j in range(d):
                nothing += costs[i, j] * 0.0  # NaN for NaN and infinity
            if nothing != 0.0:
                return -1 - i
            dominated = False
            for k in range(len(strong)):
                below = strong[k, 0] < costs[i, 0]
                for j in range(1, d):
                    below &= strong[k, j] <= costs[i, j]
                if below:
                    dominated = True
                    break
            kept[count] = i
            count += not dominated
        return count

    return scan


@kernel
def window_front(costs: Costs, front: Rows, start: int, one_in: int) -> int:
    """Write the front of costs [n, d] to front, copies included; return its size, or -1 once that gets large.

    Large: no more room in front, or more than start rows and one in one_in of those seen.

    Block nested loops (Börzsönyi et al. 2001): each row against the rows not dominated so far, the last that dominated
    moved to the front of the window: O(n · front).
    """
    n, d = costs.shape
    size = 0
    for i in range(n):
        k = 0
        dominated = False
        while k < size:
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
            if size == len(front) or size > start + i // one_in:
                return -1
            front[size] = i
            size += 1
    return size
