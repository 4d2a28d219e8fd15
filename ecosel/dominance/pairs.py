"""The fronts of one column against each of several others, in one read of the table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds
from ecosel.dominance.scan import strongest
from ecosel.dominance.sweep import sweep_two

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_STRONG = 2
_LARGEST_SAMPLE = 1024
_ROWS_A_THREAD = 50_000


def fronts(first: Costs, others: Costs) -> Mask:
    """Mark the fronts [n, k] of first [n] against each column of others [n, k].

    One pass holds each row against one or two strong rows a pair, chosen on a sample; what a pair leaves is swept
    (front_of_two). Pairs that leave more than half share one sort of the first column.
    """
    n, k = others.shape
    front = np.zeros((n, k), dtype=np.bool_)
    if not n:
        return front
    step = max(1, n // _LARGEST_SAMPLE)
    strong = np.full((k, _STRONG, 2), np.inf)
    for j in range(k):
        sample = np.column_stack([first[step // 2 :: step], others[step // 2 :: step, j]])
        chosen = strongest(sample, sample)[:_STRONG]
        strong[j, : len(chosen)] = chosen
    bounds = part_bounds(n, smallest=_ROWS_A_THREAD)
    kept = np.empty((k, n), dtype=np.int32)
    counts = in_parts(lambda start, stop: scan_pairs(first, others, strong, start, stop, kept), n, smallest=_ROWS_A_THREAD)
    order = None
    for j in range(k):
        rows = np.concatenate([kept[j, start:][: count[j]] for start, count in zip(bounds, counts, strict=False)])
        if 2 * len(rows) > n:
            order = np.argsort(first) if order is None else order
            sweep_two(first, others[:, j], order, front[:, j])
            continue
        x, y = first[rows], others[rows, j]
        mask = np.zeros(len(rows), dtype=np.bool_)
        sweep_two(x, y, np.argsort(x), mask)
        front[rows[mask], j] = True
    return front


@kernel
def scan_pairs(first: Costs, others: Costs, strong: Costs, start: int, stop: int, kept: NDArray[np.int32]) -> Rows:
    k = others.shape[1]
    counts = np.zeros(k, dtype=np.int64)
    for i in range(start, stop):
        x = first[i]
        for j in range(k):
            y = others[i, j]
            # strictly worse in both columns: copies of a strong row stay
            if (strong[j, 0, 0] < x and strong[j, 0, 1] < y) or (strong[j, 1, 0] < x and strong[j, 1, 1] < y):
                continue
            kept[j, start + counts[j]] = i
            counts[j] += 1
    return counts
