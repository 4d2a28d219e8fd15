"""Drop most dominated rows in one read of the table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]

# A strong row must remove one in this many of the sampled rows that those before it leave.
_WORTH = 256
_MOST_STRONG = 64
# One row in this many is sampled, 1,024 at most: the sample costs its square.
_SAMPLED = 64
_LARGEST_SAMPLE = 1024
# Below, a thread costs more than it saves.
_ROWS_A_THREAD = 50_000


def eliminate(costs: Costs) -> tuple[Rows, int]:
    """Return the rows that a few strong rows leave, ascending, and the first row that is not finite (or -1).

    O(n · strong rows), mostly one or two tests a row on a small front: the elimination filter of LESS (Godfrey et al.
    2007), with strong rows chosen on a sample by how much they dominate together. A large front has no strong rows,
    and nothing but the test for finite values is done.
    """
    n = len(costs)
    step = max(_SAMPLED, n // _LARGEST_SAMPLE)
    sample = np.ascontiguousarray(costs[step // 2 :: step])
    strong = sample[strong_rows(sample, max(2, len(sample) // _WORTH), _MOST_STRONG)]
    kept = np.empty(n, dtype=np.int64)
    counts = in_parts(lambda start, stop: scan(costs, strong, start, stop, kept[start:stop]), n, smallest=_ROWS_A_THREAD)
    bad = [-1 - count for count in counts if count < 0]
    if bad:
        return kept[:0], min(bad)
    parts = len(counts)
    return np.concatenate([kept[n * k // parts :][:count] for k, count in enumerate(counts)]), -1


@kernel
def strong_rows(sample: Costs, worth: int, most: int) -> Rows:
    """Choose rows of sample [s, d], each the one that dominates most of what those before it leave; at least worth rows."""
    s, d = sample.shape
    front = np.empty(s, dtype=np.int64)
    size = 0
    for i in range(s):
        dominated = False
        for k in range(s):
            no_worse, better = True, False
            for j in range(d):
                if sample[k, j] > sample[i, j]:
                    no_worse = False
                    break
                better |= sample[k, j] < sample[i, j]
            if no_worse and better:
                dominated = True
                break
        if not dominated:
            front[size] = i
            size += 1
    beaten = np.zeros((size, s), dtype=np.uint8)
    for f in range(size):
        for i in range(s):
            no_worse, better = True, False
            for j in range(d):
                if sample[front[f], j] > sample[i, j]:
                    no_worse = False
                    break
                better |= sample[front[f], j] < sample[i, j]
            beaten[f, i] = no_worse and better
    left = np.ones(s, dtype=np.uint8)
    chosen = np.empty(most, dtype=np.int64)
    count = 0
    while count < most:
        best, best_gain = -1, worth - 1
        for f in range(size):
            gain = 0
            for i in range(s):
                gain += beaten[f, i] & left[i]
            if gain > best_gain:
                best, best_gain = f, gain
        if best < 0:
            break
        chosen[count] = front[best]
        count += 1
        for i in range(s):
            left[i] &= 1 - beaten[best, i]
    return chosen[:count]


@kernel
def scan(costs: Costs, strong: Costs, start: int, stop: int, kept: Rows) -> int:
    """Write the rows of costs[start:stop] that no strong row dominates to kept; return how many, or -1 - row if not finite."""
    d = costs.shape[1]
    count = 0
    for i in range(start, stop):
        nothing = 0.0
        for j in range(d):
            nothing += costs[i, j] * 0.0  # NaN for NaN and infinity
        if nothing != 0.0:
            return -1 - i
        dominated = False
        for k in range(len(strong)):
            no_worse, better = True, False
            for j in range(d):
                if strong[k, j] > costs[i, j]:
                    no_worse = False
                    break
                better |= strong[k, j] < costs[i, j]
            if no_worse and better:
                dominated = True
                break
        if not dominated:
            kept[count] = i
            count += 1
    return count


@kernel
def window_front(costs: Costs, largest: int, front: Rows) -> int:
    """Write the front of costs [n, d] to front, copies included; return its size, or -1 once it is above largest.

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
            if size == largest:
                return -1
            front[size] = i
            size += 1
    return size
