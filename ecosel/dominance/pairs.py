"""The fronts of one column against each of several others, in one read of the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel, part_bounds
from ecosel.dominance.scan import strongest
from ecosel.dominance.sweep import sweep_two

Costs = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Strong rows a pair, rows sampled to say how much they dominate, and rows searched for them.
_STRONG, _SAMPLE, _SEARCHED = 2, 128, 1 << 10
_ROWS_A_THREAD = 50_000


def fronts(first: Costs, others: Costs) -> Mask | None:
    """Mark the fronts [n, k] of first [n] against each column of others [n, k]; None where a value is not finite.

    Pairs of which two strong rows dominate half of a sample share one scan of the table, which leaves little to sort.
    The others share one sort by the first column and are swept in that order (Kung et al. 1975).
    """
    n, k = others.shape
    front = np.zeros((n, k), dtype=np.bool_)
    if not n:
        return front
    strong, swept = np.full((k, 2, _STRONG), np.inf), []
    for j in range(k):
        chosen, share = _strong_rows(first, others[:, j])
        strong[j, :, : len(chosen)] = chosen.T
        if share < 0.5:
            swept.append(j)
    scanned = [j for j in range(k) if j not in swept]
    if scanned and not _scan(first, others, strong, scanned, front):
        return None
    if swept:
        if not (np.isfinite(first).all() and np.isfinite(others[:, swept]).all()):
            return None
        _sweep(first, others, swept, front)
    return front


def _strong_rows(first: Costs, other: Costs) -> tuple[Costs, float]:
    """Return up to two strong rows of a pair, and which share of a sample they dominate."""
    step = max(1, len(first) // _SEARCHED)
    searched = np.column_stack([first[step // 2 :: step], other[step // 2 :: step]])
    sample = np.ascontiguousarray(searched[:: max(1, len(searched) // _SAMPLE)])
    chosen = strongest(searched, sample)[:_STRONG]
    beaten = np.zeros(len(sample), dtype=np.bool_)
    for x, y in chosen:
        beaten |= (sample[:, 0] > x) & (sample[:, 1] > y)
    return chosen, float(beaten.mean())


def _scan(first: Costs, others: Costs, strong: Costs, columns: list[int], front: Mask) -> bool:
    n, k = len(first), len(columns)
    table = others if k == others.shape[1] else np.ascontiguousarray(others[:, columns])
    x, y = (np.ascontiguousarray(strong[columns, c].T) for c in (0, 1))  # [_STRONG, k]
    kept = np.empty((k, n), dtype=np.int32)
    scan = scan_for(k)
    counts = in_parts(lambda start, stop: scan(first, table, x, y, start, stop, kept), n, smallest=_ROWS_A_THREAD)
    if any(count[k] for count in counts):
        return False
    bounds = part_bounds(n, smallest=_ROWS_A_THREAD)
    for j, column in enumerate(columns):
        rows = np.concatenate([kept[j, start:][: count[j]] for start, count in zip(bounds, counts, strict=False)])
        a, b = first[rows], table[rows, j]
        mask = np.zeros(len(rows), dtype=np.bool_)
        sweep_two(a, b, np.argsort(a), mask)
        front[rows[mask], column] = True
    return True


@cache
def scan_for(k: int) -> Callable[[Costs, Costs, Costs, Costs, int, int, NDArray[np.int32]], Rows]:
    """Return the scan of k pairs; that the number is known when it is compiled lets all pairs of a row be tried at once."""

    @kernel
    def scan(first: Costs, others: Costs, x: Costs, y: Costs, start: int, stop: int, kept: NDArray[np.int32]) -> Rows:
        """Write the rows that a pair's two strong rows are not below to kept[pair, start:]; return how many for each pair.

        Behind them: how many rows hold a value that is not finite.
        """
        counts = np.zeros(k + 1, dtype=np.int64)
        for i in range(start, stop):
            left = 0
            nothing = first[i] * 0.0
            for j in range(k):
                nothing += others[i, j] * 0.0  # NaN for NaN and infinity
                one = (x[0, j] < first[i]) & (y[0, j] < others[i, j])
                two = (x[1, j] < first[i]) & (y[1, j] < others[i, j])
                left += not (one | two)
            counts[k] += nothing != 0.0
            if left == 0:
                continue
            for j in range(k):
                one = (x[0, j] < first[i]) & (y[0, j] < others[i, j])
                two = (x[1, j] < first[i]) & (y[1, j] < others[i, j])
                if not (one | two):
                    kept[j, start + counts[j]] = i
                    counts[j] += 1
        return counts

    return scan


def _sweep(first: Costs, others: Costs, columns: list[int], front: Mask) -> None:
    order = np.argsort(first)
    x, y = first[order], others[order][:, columns]
    in_order = np.zeros(y.shape, dtype=np.bool_)
    in_parts(
        lambda start, stop: sweep_columns(x, y, start, stop, in_order),
        len(columns),
        smallest=1 if len(x) > _ROWS_A_THREAD else len(columns),
    )
    back = np.empty_like(in_order)
    back[order] = in_order
    front[:, columns] = back


@kernel
def sweep_columns(x: Costs, y: Costs, first: int, last: int, front: Mask) -> None:
    """sweep_two for the columns first to last of y, the rows already in order of x."""
    n = len(x)
    for c in range(first, last):
        lowest = np.inf
        i = 0
        while i < n:
            best = y[i, c]
            j = i + 1
            while j < n and x[j] == x[i]:
                best = min(best, y[j, c])
                j += 1
            if best < lowest:
                lowest = best
                for k in range(i, j):
                    front[k, c] = y[k, c] == best
            i = j
