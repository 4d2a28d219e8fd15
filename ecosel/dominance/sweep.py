"""Find the front of two or three columns by sorting: O(n log n), whatever its size."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds
from ecosel.dominance.ranks import lexicographic, ranks_and_orders

Costs = NDArray[np.float64]
Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]
Ranks = NDArray[np.int32]

_ROWS_A_THREAD = 20_000


def front_of_two(costs: Costs, /) -> Mask:
    """Mark the front of costs [n, 2], including copies (Kung et al. 1975)."""
    front = np.zeros(len(costs), dtype=np.bool_)
    sweep_two(costs, ranks_and_orders(costs[:, :1])[1][0], front)
    return front


@kernel
def sweep_two(costs: Costs, order: Rows, front: Mask) -> None:
    """Walk by rising x: the rows with the smallest y of one x are on the front if no smaller x had a y as small."""
    n = len(order)
    lowest = np.inf
    i = 0
    while i < n:
        here, best = costs[order[i], 0], costs[order[i], 1]
        j = i + 1
        while j < n and costs[order[j], 0] == here:
            y = costs[order[j], 1]
            best = y if y < best else best
            j += 1
        if best < lowest:
            lowest = best
            for k in range(i, j):
                front[order[k]] = costs[order[k], 1] == best
        i = j


def front_of_three(costs: Costs, /) -> Mask:
    """Mark the front of costs [n, 3], including copies: O(n log n).

    Walk by rising (x, y): a row is dominated if a row before it has no larger y and no larger z. The smallest z for each y
    is kept in a Fenwick tree (1994) over the ranks of y, one flat array. Each core walks a part of the x; then a part is
    compared with the smallest z for each y of the parts before it.
    """
    n = len(costs)
    ranks, orders = ranks_and_orders(costs[:, :2])
    order = lexicographic(ranks, orders)
    front = np.zeros(n, dtype=np.bool_)
    bounds = [_x_border(ranks, order, k) for k in part_bounds(n, smallest=_ROWS_A_THREAD)]

    def work(first: int, last: int) -> None:
        for start, stop in pairwise(bounds[first : last + 1]):
            sweep_part(costs, ranks, order, start, stop, front)

    in_parts(work, len(bounds) - 1, smallest=1)
    lowest = np.full(n if len(bounds) > 2 else 0, np.inf)
    for before, start, stop in zip(bounds, bounds[1:], bounds[2:], strict=False):
        hold_against(costs, ranks, order, before, start, stop, lowest, front)
    return front


def _x_border(ranks: Ranks, order: Rows, k: int) -> int:
    """Return the first position from k on where a new x begins: copies and ties in x never fall into two parts."""
    if k == 0:
        return 0
    return bisect_right(range(len(order)), ranks[0, order[k - 1]], key=lambda i: ranks[0, order[i]])


@kernel
def sweep_part(costs: Costs, ranks: Ranks, order: Rows, start: int, stop: int, front: Mask) -> None:
    """Mark the front of the rows order[start:stop]."""
    n, at = len(order), start
    lowest = np.empty(n + 1)  # Fenwick tree of the minimum: index 1 + rank of y
    for k in range(n + 1):
        lowest[k] = np.inf
    while at < stop:
        row = order[at]
        x, y, z = ranks[0, row], ranks[1, row], costs[row, 2]
        end = at + 1
        while end < stop and ranks[1, order[end]] == y and ranks[0, order[end]] == x:
            other = costs[order[end], 2]
            z = other if other < z else z
            end += 1
        k = y + 1
        while k > 0 and lowest[k] > z:
            k &= k - 1
        if k == 0:
            for i in range(at, end):
                front[order[i]] = costs[order[i], 2] == z
            k = y + 1
            while k <= n and lowest[k] > z:  # if this is not above z, no node that covers it is
                lowest[k] = z
                k += k & -k
        at = end


@kernel
def hold_against(costs: Costs, ranks: Ranks, order: Rows, before: int, start: int, stop: int, lowest: Costs, front: Mask) -> None:
    """Add the front of order[before:start] to lowest, the smallest z up to each y; drop those of [start:stop] it dominates."""
    for at in range(before, start):
        i = order[at]
        if front[i] and costs[i, 2] < lowest[ranks[1, i]]:
            lowest[ranks[1, i]] = costs[i, 2]
    for y in range(1, len(lowest)):
        if lowest[y - 1] < lowest[y]:
            lowest[y] = lowest[y - 1]
    for at in range(start, stop):
        i = order[at]
        if front[i] and lowest[ranks[1, i]] <= costs[i, 2]:
            front[i] = False
