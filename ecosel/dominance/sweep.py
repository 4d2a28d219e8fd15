"""The front of two or three columns by sorting: O(n log n), whatever its size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ranks = NDArray[np.int32]


def front_of_two(costs: Costs) -> Mask:
    """Mark the front of costs [n, 2], copies included (Kung et al. 1975)."""
    front = np.zeros(len(costs), dtype=np.bool_)
    sweep_two(costs[:, 0], costs[:, 1], np.argsort(costs[:, 0]), front)
    return front


@kernel
def sweep_two(x: Costs, y: Costs, order: Rows, front: Mask) -> None:
    """Walk by rising x: of the rows of one x those of its smallest y are on the front if no smaller x had such a y."""
    n = len(order)
    lowest = np.inf
    i = 0
    while i < n:
        here = x[order[i]]
        best = y[order[i]]
        j = i + 1
        while j < n and x[order[j]] == here:
            best = min(best, y[order[j]])
            j += 1
        if best < lowest:
            lowest = best
            for k in range(i, j):
                front[order[k]] = y[order[k]] == best
        i = j


def dense_ranks(costs: Costs) -> tuple[Ranks, Rows]:
    """Return costs [n, d] as int32 ranks [n, d], equal values alike, and the order [n] of the rows by the first column.

    The same dominance in half the memory; one sort a column.
    """
    n, d = costs.shape
    ranks = np.empty((n, d), dtype=np.int32)
    by_first: list[Rows] = []
    # all columns of a small table at once: the calls cost more than the work; of a large one one by one, for the memory
    step = 1 if n > _ROWS_A_THREAD else d

    def rank_columns(start: int, stop: int) -> None:
        for j in range(start, stop, step):
            columns = np.ascontiguousarray(costs[:, j : j + step].T)
            order = np.argsort(columns, axis=1)
            if j == 0:
                by_first.append(order[0])
            # places in the columns one behind the other
            places = (order + n * np.arange(len(columns))[:, None]).ravel() if step > 1 else order[0]
            ordered = columns.ravel()[places].reshape(columns.shape)
            rank = np.zeros(columns.shape, dtype=np.int32)
            np.cumsum(ordered[:, 1:] > ordered[:, :-1], axis=1, dtype=np.int32, out=rank[:, 1:])
            if step == 1:
                ranks[places, j] = rank[0]
            else:
                back = np.empty(rank.size, dtype=np.int32)
                back[places] = rank.ravel()
                ranks[:, j : j + step] = back.reshape(rank.shape).T

    in_parts(rank_columns, d, smallest=1 if n > _ROWS_A_THREAD else d)
    return ranks, by_first[0]


_ROWS_A_THREAD = 20_000


def front_of_three(costs: Costs) -> Mask:
    """Mark the front of costs [n, 3], copies included: O(n log n).

    Walk by rising (x, y, z): a row is dominated if a row before it has no larger y and no larger z. The smallest z for
    each y stands in a Fenwick tree (1994) over the ranks of y, one flat array. Each core walks a part of the x; then a
    part is held against the smallest z for each y of the parts before it.
    """
    ranks, order = dense_ranks(costs)
    n, order = len(ranks), lexicographic(ranks, order)
    front = np.zeros(n, dtype=np.bool_)
    in_parts(lambda start, stop: sweep_part(ranks, order, start, stop, front), n, smallest=_ROWS_A_THREAD)
    bounds = part_bounds(n, smallest=_ROWS_A_THREAD)
    lowest = np.full(n, n, dtype=np.int32)
    for before, start, stop in zip(bounds, bounds[1:], bounds[2:], strict=False):
        hold_against(
            ranks,
            order,
            x_border(ranks, order, before),
            x_border(ranks, order, start),
            x_border(ranks, order, stop),
            lowest,
            front,
        )
    return front


def lexicographic(ranks: Ranks, order: Rows) -> Rows:
    """Return the order by the columns of ranks [n, 2 or 3], one after the other; order is that by the first alone."""
    n = len(ranks)
    if not n or ranks[order[-1], 0] == n - 1:  # no two rows share the first
        return order
    if n < 1 << 21:  # the ranks of a row fit into 63 bits
        return np.argsort(pack_ranks(ranks))
    return np.lexsort(ranks.T[::-1])


@kernel
def pack_ranks(ranks: Ranks) -> Rows:
    packed = np.zeros(len(ranks), dtype=np.int64)
    for i in range(len(ranks)):
        for j in range(ranks.shape[1]):
            packed[i] = (packed[i] << 21) | np.int64(ranks[i, j])
    return packed


@kernel
def x_border(ranks: Ranks, order: Rows, k: int) -> int:
    """Return the first position from k on where a new x begins: copies and ties in x never fall into two parts."""
    while 0 < k < len(order) and ranks[order[k], 0] == ranks[order[k - 1], 0]:
        k += 1
    return k


@kernel
def sweep_part(ranks: Ranks, order: Rows, start: int, stop: int, front: Mask) -> None:
    """Mark the front of the rows order[start:stop], moved to where a new x begins."""
    n = len(order)
    start, stop = x_border(ranks, order, start), x_border(ranks, order, stop)
    lowest = np.full(n + 1, n, dtype=np.int32)  # Fenwick tree of the minimum: index 1 + rank of y
    before = -1
    for at in range(start, stop):
        i = order[at]
        y, z = ranks[i, 1], ranks[i, 2]
        if before >= 0 and ranks[before, 0] == ranks[i, 0] and ranks[before, 1] == y and ranks[before, 2] == z:
            front[i] = front[before]
            continue
        before = i
        k = y + 1
        dominated = False
        while k > 0:
            if lowest[k] <= z:
                dominated = True
                break
            k &= k - 1
        if dominated:
            continue
        front[i] = True
        k = y + 1
        while k <= n and lowest[k] > z:  # where it is not above z, neither is any that covers it
            lowest[k] = z
            k += k & -k


@kernel
def hold_against(ranks: Ranks, order: Rows, before: int, start: int, stop: int, lowest: Ranks, front: Mask) -> None:
    """Take the front rows of order[before:start] into lowest, the smallest z up to each y, and drop what they dominate."""
    for at in range(before, start):
        i = order[at]
        if front[i]:
            lowest[ranks[i, 1]] = min(lowest[ranks[i, 1]], ranks[i, 2])
    for y in range(1, len(lowest)):
        lowest[y] = min(lowest[y], lowest[y - 1])
    for at in range(start, stop):
        i = order[at]
        if front[i] and lowest[ranks[i, 1]] <= ranks[i, 2]:
            front[i] = False
