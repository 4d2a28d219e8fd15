"""Find the rows that no other row dominates."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]


def nondominated_mask(costs: ArrayLike, /, *, copies: Literal["all", "first"] = "all") -> Mask:
    """Mark the rows of costs [n, d] that no other row dominates.

    Smaller is better in every column. A row dominates another when it is nowhere larger and somewhere smaller, so
    equal rows do not dominate each other: all copies of a front row are marked, or only the first of them.
    Raises ValueError where a value is not finite.

    >>> nondominated_mask([[1, 2], [2, 1], [2, 2], [1, 2]])
    array([ True,  True, False,  True])
    >>> nondominated_mask([[1, 2], [2, 1], [2, 2], [1, 2]], copies="first")
    array([ True,  True, False, False])
    """
    if copies not in ("all", "first"):
        raise ValueError(f"copies is {copies!r}; it must be 'all' or 'first'")
    checked = _as_costs(costs)
    front = nondominated_rows(list(np.ascontiguousarray(checked.T)))
    if copies == "first" and len(front):
        _, first = np.unique(checked[front], axis=0, return_index=True)
        front = front[first]
    mask = np.zeros(len(checked), dtype=np.bool_)
    mask[front] = True
    return mask


def nondominated_rank(costs: ArrayLike, /) -> NDArray[np.int64]:
    """Return the layer [n] of each row: 0 on the front, 1 on the front of the rest, and so on.

    >>> nondominated_rank([[1, 2], [2, 1], [2, 2], [3, 3]])
    array([0, 0, 1, 2])
    """
    checked = _as_costs(costs)
    rank = np.full(len(checked), -1, dtype=np.int64)
    left, layer = np.arange(len(checked)), 0
    while len(left):
        on_front = nondominated_mask(checked[left])
        rank[left[on_front]] = layer
        left, layer = left[~on_front], layer + 1
    return rank


def dominators(costs: ArrayLike, row: int, /) -> NDArray[np.int64]:
    """Return the numbers of the rows of costs [n, d] that dominate row, in their order.

    >>> dominators([[1, 2], [2, 1], [2, 2]], 2)
    array([0, 1])
    """
    checked = _as_costs(costs)
    if not -len(checked) <= row < len(checked):
        raise ValueError(f"row {row} is not in a table of {len(checked)} rows")
    return np.flatnonzero((checked <= checked[row]).all(axis=1) & (checked < checked[row]).any(axis=1))


def _as_costs(costs: ArrayLike) -> Costs:
    array = np.asarray(costs, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"costs have shape {array.shape}; they must be [n, d] with d >= 1")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"row {row} holds a value that is not finite: {array[row].tolist()}")
    return array


def nondominated_rows(columns: list[Costs], /) -> NDArray[np.int64]:
    """Return the numbers of the rows that no other dominates, ascending, copies included; nothing is checked or copied.

    columns: d arrays [n] of finite costs, each contiguous.
    """
    if len(columns) == 1:
        return np.flatnonzero(columns[0] == columns[0].min(initial=np.inf))
    rows, columns = _eliminate(columns)
    front = _sweep(columns[0], columns[1]) if len(columns) == 2 else _filter(columns)
    return np.sort(rows[front])


_SAMPLE = 1024
# A strong row that removes fewer than one in this many of the sampled rows is not worth a pass over all rows,
# a round that removes fewer than half of them is the last.
_WORTH = 128
# Rows in a block: d columns of it stay in the second-level cache while every strong row passes over them.
_BLOCK = 1 << 14


def _eliminate(columns: list[Costs]) -> tuple[NDArray[np.int64], list[Costs]]:
    """Drop rows that a few strong rows dominate, in one read of the table a round.

    The idea is the elimination filter of LESS (Godfrey et al. 2007); the strong rows are those of a sample's front that
    together dominate most of the sample. On a small front a handful of them removes nearly everything.
    """
    rows = None
    while (n := len(columns[0])) > 16 * _SAMPLE:
        strong = _strong_rows([column[:: n // _SAMPLE] for column in columns])
        beaten = np.empty(n, dtype=np.bool_)
        for start in range(0, n, _BLOCK):
            block = [column[start : start + _BLOCK] for column in columns]
            mine = beaten[start : start + _BLOCK]
            mine[:] = False
            for pivot in strong:
                # strictly worse in the first column: a copy of the pivot always stays
                worse = block[0] > pivot[0]
                for value, column in zip(pivot[1:], block[1:], strict=True):
                    worse &= column >= value
                mine |= worse
        keep = np.flatnonzero(~beaten)
        rows = keep if rows is None else rows[keep]
        columns = [column[keep] for column in columns]
        if 2 * len(keep) > n:
            break
    return (np.arange(n) if rows is None else rows), columns


def _strong_rows(sample: list[Costs]) -> list[list[float]]:
    """Choose rows of the sample, each the one that dominates most of what those before it leave."""
    front = _filter(sample)
    beaten = np.stack([_dominated_by([column[k] for column in sample], sample) for k in front])
    strong: list[list[float]] = []
    while True:
        best = int(beaten.sum(axis=1).argmax())
        if beaten[best].sum() * _WORTH < len(sample[0]):
            return strong
        strong.append([float(column[front[best]]) for column in sample])
        beaten &= ~beaten[best]


def _dominated_by(pivot: list[float], columns: list[Costs]) -> Mask:
    no_better = columns[0] >= pivot[0]
    for value, column in zip(pivot[1:], columns[1:], strict=True):
        no_better &= column >= value
    worse_somewhere = np.zeros_like(no_better)
    for value, column in zip(pivot, columns, strict=True):
        worse_somewhere |= column > value
    return no_better & worse_somewhere


def _sweep(x: Costs, y: Costs) -> NDArray[np.int64]:
    """Sort by (x, y) and keep the rows whose y is below all before, and their copies: O(n log n) (Kung et al. 1975)."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    # smallest y among the rows with a smaller x; within equal x only the smallest y stays
    lowest = np.minimum.accumulate(y)
    first_of_x = np.searchsorted(x, x, side="left")
    before = np.where(first_of_x > 0, lowest[np.maximum(first_of_x - 1, 0)], np.inf)
    front: NDArray[np.int64] = order[(y < before) & (y == y[first_of_x])]
    return front


def _filter(columns: list[Costs]) -> NDArray[np.int64]:
    """Walk the rows by rising sum; each is on the front and removes what it dominates (Chomicki et al. 2003, SFS).

    O(n · front) with one vector operation a front row.
    """
    if not len(columns[0]):
        return np.arange(0)
    total = np.zeros(len(columns[0]))
    for column in columns:
        lowest = column.min()
        span = 0.5 * np.median(column[:: 1 + len(column) // 512]) - 0.5 * lowest
        with np.errstate(over="ignore"):
            total += np.clip(column / (span if span > 0 else max(1.0, abs(lowest))), -1e300, 1e300) / len(columns)
    # equal sums by rounding: the column order decides, in which a dominating row also comes first
    left = np.lexsort((*columns[::-1], total))
    columns = [column[left] for column in columns]
    front = []
    while len(left):
        copies = np.ones(len(left), dtype=np.bool_)
        for column in columns:
            copies &= column == column[0]
        front.append(left[copies])
        stays = ~(_dominated_by([column[0] for column in columns], columns) | copies)
        left, columns = left[stays], [column[stays] for column in columns]
    return np.concatenate(front)
