"""Find the layers of two or three columns in one sweep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import kernel
from ecosel.dominance.ranks import Ranks, lexicographic, ranks_and_orders

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Order = NDArray[np.int32]


def of_two(costs: Costs) -> Rows:
    """Return the layer of each row of costs [n, 2]: O(n log n) (Jensen 2003).

    Walk by rising (x, y): a layer dominates a row if its smallest y so far is not above the row's. These rise from layer
    to layer, so a binary search finds the first layer that does not.
    """
    ranks, orders = ranks_and_orders(costs)
    return sweep_layers_of_two(ranks, lexicographic(ranks, orders))


@kernel
def sweep_layers_of_two(ranks: Ranks, order: Order) -> Rows:
    n = len(order)
    layer = np.empty(n, dtype=np.int64)
    lowest = np.empty(n, dtype=np.int32)
    count = 0
    before = -1
    for i in order:
        y = ranks[1, i]
        if before >= 0 and ranks[0, before] == ranks[0, i] and ranks[1, before] == y:
            layer[i] = layer[before]
            continue
        before = i
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if lowest[middle] <= y:
                low = middle + 1
            else:
                high = middle
        layer[i] = low
        lowest[low] = y
        count = max(count, low + 1)
    return layer


def of_three(costs: Costs) -> Rows:
    """Return the layer of each row of costs [n, 3]: O(n log k log n) tests for k layers.

    Walk by rising (x, y, z): a layer dominates a row if one of its rows so far has no larger y and no larger z. Each
    layer keeps the staircase of its (y, z), and the first layer that does not dominate is found by binary search, as in the
    efficient non-dominated sort (Zhang et al. 2015, ENS-BS). A new row takes its place in its staircase: up to its
    length is shifted.
    """
    ranks, orders = ranks_and_orders(costs)
    return sweep_layers_of_three(ranks, lexicographic(ranks, orders))


@kernel
def sweep_layers_of_three(ranks: Ranks, order: Order) -> Rows:
    n = len(order)
    layer = np.empty(n, dtype=np.int64)
    # staircase k: pool[start[k] : start[k] + size[k]] of (y, z), y rising and z falling; room for room[k]
    pool = np.empty((4 * n + 64, 2), dtype=np.int32)
    used = 0
    start = np.empty(n, dtype=np.int64)
    size = np.zeros(n, dtype=np.int64)
    room = np.zeros(n, dtype=np.int64)
    count = 0
    before = -1
    for i in order:
        y, z = ranks[1, i], ranks[2, i]
        if before >= 0 and ranks[0, before] == ranks[0, i] and ranks[1, before] == y and ranks[2, before] == z:
            layer[i] = layer[before]
            continue
        before = i
        low, high = 0, count
        at = 0  # place of y in the staircase of layer low
        while low < high:
            middle = (low + high) // 2
            first, last = start[middle], start[middle] + size[middle]
            while first < last:  # the first step with a larger y
                step = (first + last) // 2
                if pool[step, 0] <= y:
                    first = step + 1
                else:
                    last = step
            if first > start[middle] and pool[first - 1, 1] <= z:
                low = middle + 1
            else:
                high = middle
        layer[i] = low
        if low == count:
            count += 1
            room[low] = 0
        first, last = start[low], start[low] + size[low]
        if size[low] == 0:
            first, last = 0, 0
        at, end = first, last
        while at < end:
            step = (at + end) // 2
            if pool[step, 0] < y:
                at = step + 1
            else:
                end = step
        gone = at  # steps that the new one replaces: neither y nor z is smaller
        while gone < last and pool[gone, 1] >= z:
            gone += 1
        if size[low] - (gone - at) + 1 > room[low]:
            wanted = max(8, 2 * room[low])
            if used + wanted > len(pool):
                larger = np.empty((2 * len(pool) + wanted, 2), dtype=np.int32)
                larger[:used] = pool[:used]
                pool = larger
            for k in range(size[low]):
                pool[used + k, 0], pool[used + k, 1] = pool[first + k, 0], pool[first + k, 1]
            at, gone, last = at - first + used, gone - first + used, last - first + used
            start[low], room[low] = used, wanted
            used += wanted
        if gone == at:
            for k in range(last, at, -1):
                pool[k, 0], pool[k, 1] = pool[k - 1, 0], pool[k - 1, 1]
            size[low] += 1
        elif gone > at + 1:
            shift = gone - at - 1
            for k in range(gone, last):
                pool[k - shift, 0], pool[k - shift, 1] = pool[k, 0], pool[k, 1]
            size[low] -= shift
        pool[at, 0], pool[at, 1] = y, z
    return layer
