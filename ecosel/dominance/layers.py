"""The layers of a table: one sweep for two or three columns, one walk with queries of a tree above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance import tree
from ecosel.dominance.compiled import in_parts, kernel
from ecosel.dominance.sweep import Ranks, dense_ranks, lexicographic

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


def of_two(costs: Costs) -> Rows:
    """Return the layer of each row of costs [n, 2]: O(n log n) (Jensen 2003).

    Walk by rising (x, y): a layer dominates a row if its smallest y so far is not above the row's. These rise from layer
    to layer, so a binary search finds the first layer that does not.
    """
    ranks, order = dense_ranks(costs)
    return sweep_layers_of_two(ranks, lexicographic(ranks, order))


@kernel
def sweep_layers_of_two(ranks: Ranks, order: Rows) -> Rows:
    n = len(order)
    layer = np.empty(n, dtype=np.int64)
    lowest = np.empty(n, dtype=np.int32)
    count = 0
    before = -1
    for i in order:
        y = ranks[i, 1]
        if before >= 0 and ranks[before, 0] == ranks[i, 0] and ranks[before, 1] == y:
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
    layer keeps the staircase of its (y, z), and the first layer that does not dominate is found by binary search, as the
    efficient non-dominated sort does (Zhang et al. 2015, ENS-BS). A new row takes its place in its staircase: up to its
    length is moved.
    """
    ranks, order = dense_ranks(costs)
    return sweep_layers_of_three(ranks, lexicographic(ranks, order))


@kernel
def sweep_layers_of_three(ranks: Ranks, order: Rows) -> Rows:
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
        y, z = ranks[i, 1], ranks[i, 2]
        if before >= 0 and ranks[before, 0] == ranks[i, 0] and ranks[before, 1] == y and ranks[before, 2] == z:
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
        gone = at  # steps that the new one replaces: no smaller y, no smaller z
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


# Rows of one block: their queries run on all cores, then they are held against each other, half a block a row.
_BLOCK, _ROWS_A_THREAD = 768, 256


def of_many(costs: Costs) -> Rows:
    """Return the layer of each row of costs [n, d], d >= 4.

    The layer is one above the highest of those that dominate the row. Rows are taken by rising sum of ranks, so their
    dominators come before them, and a query of the tree (front_of_many) finds the highest of these: a subtree is passed
    over if none of its rows so far is above what was found. O(n) queries, whatever the number of layers. A block of rows
    is asked at once, on all cores, about the rows before it; what the block's own rows add is found by brute force.
    """
    ranks, _ = dense_ranks(costs)
    rows, cells, corners = tree.grow(ranks)
    (n, d), leaves = ranks.shape, len(cells)
    roots = leaves  # three levels of the tree are taken at once; the roots are what is left over above
    while roots >= 8:
        roots //= 8
    # of the eight nodes 8 p, ..., 8 p + 7: their corners column by column, then the highest layer of their rows so far
    wide = np.full((max(1, leaves // 4), d + 1, 8), -1, dtype=np.float32)
    if leaves >= 8:
        wide[roots:, :d] = corners[8 * roots :].reshape(-1, 8, d).transpose(0, 2, 1)
    layer = np.full(n, -1, dtype=np.int32)
    order = np.argsort(rows[:, :d].sum(axis=1, dtype=np.int64))
    found = np.empty(_BLOCK, dtype=np.int32)
    for start in range(0, n, _BLOCK):
        block = order[start : start + _BLOCK]

        def ask(first: int, last: int, block: Rows = block) -> None:
            one_above(rows, cells, wide, roots, block[first:last], layer, found[first:last])

        in_parts(ask, len(block), smallest=_ROWS_A_THREAD)
        settle(rows, leaves, wide, roots, block, found, layer)
    by_number = np.empty(n, dtype=np.int64)
    by_number[rows[:, d]] = layer
    return by_number


@kernel
def one_above(rows: Ranks, cells: Floats, wide: Floats, roots: int, block: Rows, layer: Ranks, found: Ranks) -> None:
    """Write to found one above the highest layer so far of those that dominate each row of block, 0 without any."""
    n, d = rows.shape[0], rows.shape[1] - 1
    leaves = len(cells)
    stack = np.empty(128, dtype=np.int64)
    bound = np.empty(128, dtype=np.float32)
    excess = np.empty(max(8, tree.LEAF), dtype=np.float32)
    value = np.empty(d, dtype=np.float32)
    for t in range(len(block)):
        i = block[t]
        for j in range(d):
            value[j] = np.float32(rows[i, j])
        best = np.float32(-1)
        depth = 0
        for node in range(roots, 2 * roots):
            stack[depth], bound[depth] = node, np.inf
            depth += 1
        while depth > 0:
            depth -= 1
            if bound[depth] <= best:
                continue
            node = stack[depth]
            if node < leaves:
                for c in range(8):
                    excess[c] = best - wide[node, d, c]
                for j in range(d):
                    v = value[j]
                    for c in range(8):
                        # not above the row, and of a higher layer than was found
                        over = wide[node, j, c] - v
                        excess[c] = np.float32(1) if over > 0 else excess[c]
                for c in range(8):  # the last, the upper half in three columns, is popped first
                    if excess[c] < 0:
                        stack[depth], bound[depth] = 8 * node + c, wide[node, d, c]
                        depth += 1
                continue
            leaf = node - leaves
            for k in range(tree.LEAF):
                excess[k] = cells[leaf, 0, k] - value[0]
            for j in range(1, d):
                v = value[j]
                for k in range(tree.LEAF):
                    over = cells[leaf, j, k] - v
                    excess[k] = over if over > excess[k] else excess[k]
            start = leaf * n // leaves
            for k in range((leaf + 1) * n // leaves - start):
                if excess[k] <= 0 and layer[start + k] > best and dominates(rows, start + k, i):
                    best = np.float32(layer[start + k])
        found[t] = np.int32(best) + 1


@kernel
def settle(rows: Ranks, leaves: int, wide: Floats, roots: int, block: Rows, found: Ranks, layer: Ranks) -> None:
    """Raise what was found by the rows of the same block, in their order, and enter the layers into the tree."""
    n, d = rows.shape[0], rows.shape[1] - 1
    m = len(block)
    value = np.empty((d, m), dtype=np.float32)
    excess = np.empty(m, dtype=np.float32)
    mine = np.empty(m, dtype=np.float32)
    for t in range(m):
        i = block[t]
        for j in range(d):
            value[j, t] = np.float32(rows[i, j])
        for k in range(t):
            excess[k] = value[0, k] - value[0, t]
        for j in range(1, d):
            v = value[j, t]
            for k in range(t):
                over = value[j, k] - v
                excess[k] = over if over > excess[k] else excess[k]
        best = np.float32(found[t])
        hits = 0
        for k in range(t):
            hits += (excess[k] <= 0) & (mine[k] >= best)
        if hits:
            for k in range(t):
                if excess[k] <= 0 and mine[k] >= best and dominates(rows, block[k], i):
                    best = mine[k] + np.float32(1)
        mine[t] = best
        layer[i] = np.int32(best)
        leaf = i * leaves // n  # or the next: the borders are rounded down
        if (leaf + 1) * n // leaves <= i:
            leaf += 1
        node = leaves + leaf
        while node >= 8 * roots and wide[node // 8, d, node % 8] < best:
            wide[node // 8, d, node % 8] = best
            node //= 8


@kernel
def dominates(rows: Ranks, a: int, b: int) -> bool:
    better = False
    for j in range(rows.shape[1] - 1):
        if rows[a, j] > rows[b, j]:
            return False
        better |= rows[a, j] < rows[b, j]
    return better
