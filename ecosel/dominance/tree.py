"""Find the front of four and more columns with one query of a tree for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel
from ecosel.dominance.ranks import Ranks, dense_ranks

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

# Rows in a leaf, compared all at once: four AVX2 registers of float32 per column.
LEAF = 32
_ROWS_A_THREAD = 2_000


def front_of_many(costs: Costs) -> Mask:
    """Mark the front of costs [n, d], including copies.

    A k-d tree over the ranks (Bentley 1975): a row is dominated if a query finds a row that is nowhere larger and
    somewhere smaller, and only subtrees whose lower corner is nowhere above the row can hold one. The rows are queried
    independently, on all cores. On a spherical front, a query visits some tens of leaves for d = 4 and most
    of them for d = 8, where it costs as much as brute force: 32 rows and one column in four instructions.
    """
    ranks = dense_ranks(costs)
    rows, cells, corners = grow(np.ascontiguousarray(ranks.T))
    n = len(rows)
    dominated = np.zeros(n, dtype=np.bool_)
    twin = np.full(n, -1, dtype=np.int32)

    def ask(start: int, stop: int) -> None:
        stack, floats = np.empty(64, dtype=np.int64), np.empty((2, max(LEAF, rows.shape[1])), dtype=np.float32)
        query(rows, cells, corners, start, stop, dominated, twin, stack, floats[0], floats[1])

    in_parts(ask, n, smallest=_ROWS_A_THREAD)
    copies = np.flatnonzero(twin >= 0)
    if len(copies):
        first = twin[copies]
        while (twin[first] >= 0).any():  # the twin of a twin
            first = np.where(twin[first] >= 0, twin[first], first)
        dominated[copies] = dominated[first]
    return ~dominated


def grow(ranks: Ranks) -> tuple[Ranks, Floats, Floats]:
    """Return the ranks in the order of the leaves, followed by the number of each row, the leaves, and the corners."""
    n, d = ranks.shape
    leaves = 1
    while leaves * LEAF < n:
        leaves *= 2
    rows = np.empty((n, d + 1), dtype=np.int32)
    rows[:, :d], rows[:, d] = ranks, np.arange(n)
    if leaves > 1:
        split(rows, 0, leaves, leaves, 0, 1)
        half = leaves // 2

        def split_halves(start: int, stop: int) -> None:
            for k in range(start, stop):
                split(rows, k * half, (k + 1) * half, leaves, 1, 64)

        in_parts(split_halves, 2, smallest=1 if n > 10 * _ROWS_A_THREAD else 2)
    cells = np.full((leaves, d, LEAF), np.inf, dtype=np.float32)
    corners = np.full((2 * leaves, d), np.inf, dtype=np.float32)
    pack(rows, cells, corners)
    return rows, cells, corners


@kernel
def split(rows: Ranks, first: int, last: int, leaves: int, level: int, levels: int) -> None:
    """Move the rows so that each node of the leaves first to last has its smaller half on the left; one column per level."""
    n, width = rows.shape
    d = width - 1
    size = last - first
    done = 0
    while size > 1 and done < levels:
        j = level % d
        for leaf in range(first, last, size):
            low, high = leaf * n // leaves, (leaf + size) * n // leaves - 1
            middle = (leaf + size // 2) * n // leaves
            # Hoare's selection (1961): the row that belongs at middle, smaller ones before it
            while low < high:
                a, b, c = rows[low, j], rows[(low + high) // 2, j], rows[high, j]
                if b < a:
                    a, b = b, a
                pivot = a if c < a else b if c > b else c
                left, right = low, high
                while left <= right:
                    while rows[left, j] < pivot:
                        left += 1
                    while rows[right, j] > pivot:
                        right -= 1
                    if left <= right:
                        for k in range(width):
                            rows[left, k], rows[right, k] = rows[right, k], rows[left, k]
                        left += 1
                        right -= 1
                if middle <= right:
                    high = right
                elif middle >= left:
                    low = left
                else:
                    break
        size //= 2
        level += 1
        done += 1


@kernel
def pack(rows: Ranks, cells: Floats, corners: Floats) -> None:
    """Write the leaves [leaves, d, LEAF], column by column, and the lower corner [2 · leaves, d] of each node.

    Ranks above 2**24 are rounded as float32, which keeps their order: a hit is checked again in the ranks.
    """
    n, d, leaves = rows.shape[0], rows.shape[1] - 1, len(cells)
    for leaf in range(leaves):
        start, stop = leaf * n // leaves, (leaf + 1) * n // leaves
        for i in range(start, stop):
            for j in range(d):
                value = np.float32(rows[i, j])
                cells[leaf, j, i - start] = value
                if value < corners[leaves + leaf, j]:
                    corners[leaves + leaf, j] = value
    for node in range(leaves - 1, 0, -1):
        for j in range(d):
            left, right = corners[2 * node, j], corners[2 * node + 1, j]
            corners[node, j] = left if left < right else right


@kernel
def query(
    rows: Ranks, cells: Floats, corners: Floats, first: int, last: int, dominated: Mask, twin: Ranks, stack: Rows, excess: Floats,
    value: Floats,
) -> None:  # fmt: skip
    """Find whether a row dominates rows[first:last], or equals them and has a smaller number (their twin).

    stack [64], excess [LEAF] and value [d] are work space.
    """
    n, d = rows.shape[0], rows.shape[1] - 1
    leaves = len(cells)
    for i in range(first, last):
        for j in range(d):
            value[j] = np.float32(rows[i, j])
        me = rows[i, d]
        stack[0] = 1
        depth = 1
        found = False
        while depth > 0 and not found:
            depth -= 1
            node = stack[depth]
            outside = False
            for j in range(d):
                if corners[node, j] > value[j]:
                    outside = True
                    break
            if outside:
                continue
            if node < leaves:
                stack[depth] = 2 * node + 1
                stack[depth + 1] = 2 * node  # the smaller half first: it holds the stronger rows
                depth += 2
                continue
            leaf = node - leaves
            for k in range(LEAF):
                excess[k] = cells[leaf, 0, k] - value[0]
            for j in range(1, d):
                v = value[j]
                for k in range(LEAF):
                    over = cells[leaf, j, k] - v
                    excess[k] = over if over > excess[k] else excess[k]
            hits = 0
            for k in range(LEAF):
                hits += excess[k] <= 0
            if hits == 0:
                continue
            start = leaf * n // leaves
            for k in range((leaf + 1) * n // leaves - start):
                if excess[k] <= 0:
                    other = start + k
                    no_worse, better = True, False
                    for j in range(d):
                        no_worse &= rows[other, j] <= rows[i, j]
                        better |= rows[other, j] < rows[i, j]
                    if no_worse and better:
                        dominated[me] = True
                        found = True
                        break
                    if no_worse and rows[other, d] < me:
                        twin[me] = rows[other, d]
                        found = True
                        break
