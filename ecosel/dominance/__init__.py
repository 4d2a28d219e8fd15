"""Determine which rows of a table of costs dominate which: fronts, layers, dominators, hypervolume, crowding distance.

In every column, smaller is better. The functions here check their arguments and choose the algorithm; numba is loaded
when the first of them that needs it is called.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecosel.dominance import plain

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

# For tables with more rows, an elimination is worth a sample and a read of the table.
_FEW_ROWS = 2048
# The remaining rows are tried against a window of front rows before they are sorted: nothing is faster if the front stays
# small, and it soon shows if it will not. The limits are comparisons per row and column, fewer after an elimination:
# the rows that it leaves are near the front.
_WINDOW, _COMPARISONS, _COMPARISONS_LEFT = 256, 6, 2
# The more columns there are, the more leaves a query of the tree visits; a walk by blocks always visits all rows. This
# many rows are worth a tree for four columns, twice as many for each further column.
_WORTH_TREE = 32_768
# If NumPy would compare more values than this, numba is worth loading: both take 0.3 s.
_WORTH_COMPILED = 500_000_000
# The cost of sorting two columns, in values compared: per table, and per row and binary digit of their number.
_SORT, _SORTED_ROW = 50_000, 12
# Above 2**53 neighbouring integers share one float64.
_EXACT_INT = 2**53


def nondominated_mask(costs: ArrayLike, /, *, copies: Literal["all", "first"] = "all") -> Mask:
    """Mark the rows of costs [n, d] that no other row dominates.

    A row dominates another if it is nowhere larger and somewhere smaller, so equal rows do not dominate each other:
    all copies of a front row are marked, or only the first of them. Integers are compared as integers.
    Raises ValueError if a value is not finite.

    >>> nondominated_mask([[1, 2], [2, 1], [2, 2], [1, 2]])
    array([ True,  True, False,  True])
    >>> nondominated_mask([[1, 2], [2, 1], [2, 2], [1, 2]], copies="first")
    array([ True,  True, False, False])
    """
    if copies not in ("all", "first"):
        raise ValueError(f"copies is {copies!r}; it must be 'all' or 'first'")
    checked = _as_costs(costs)
    mask = _front(checked)
    if copies == "first":
        rows = np.flatnonzero(mask)
        order = np.lexsort(checked[rows].T)  # stable: the first of equal rows stays first
        ordered = checked[rows[order]]
        again = np.zeros(len(rows), dtype=np.bool_)
        again[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
        mask[rows[order[again]]] = False
    return mask


def nondominated_pairs(quality: ArrayLike, costs: ArrayLike, /) -> Mask:
    """Mark the fronts [n, k] of one column [n] against each of k other columns [n, k]; smaller is better in all.

    Column j is nondominated_mask of the pair (quality, costs[:, j]).

    >>> nondominated_pairs([1, 2, 2], [[3, 1], [2, 1], [2, 2]])
    array([[ True,  True],
           [ True, False],
           [ True, False]])
    """
    first, others = _as_costs(np.reshape(quality, (-1, 1)))[:, 0], _as_costs(costs)
    if len(first) != len(others):
        raise ValueError(f"quality has {len(first)} rows, costs have {len(others)}; they must have the same number")
    return np.column_stack([_front(np.column_stack([first, column])) for column in others.T])


def nondominated_rank(costs: ArrayLike, /) -> Rows:
    """Return the layer [n] of each row of costs [n, d]: 0 on the front, 1 on the front of the rest, and so on.

    Copies share a layer. Raises ValueError if a value is not finite.

    >>> nondominated_rank([[1, 2], [2, 1], [2, 2], [3, 3]])
    array([0, 0, 1, 2])
    """
    checked = _as_costs(costs)
    _check_finite(checked)
    if checked.shape[1] == 1:
        return np.unique(checked[:, 0], return_inverse=True)[1].reshape(-1).astype(np.int64)
    if not len(checked):
        return np.zeros(0, dtype=np.int64)
    if len(checked) <= _FEW_ROWS and not _are_kernels_loaded():
        peeled = plain.layers(list(np.ascontiguousarray(checked.T)), most=_WORTH_COMPILED)
        if peeled is not None:
            return peeled
    from ecosel.dominance import bits, layers

    if checked.shape[1] > 3:
        return bits.layers_of_many(checked)
    return layers.of_two(checked) if checked.shape[1] == 2 else layers.of_three(checked)


def dominators(costs: ArrayLike, rows: ArrayLike, /) -> list[Rows]:
    """Return, for each of rows, the numbers of the rows of costs [n, d] that dominate it, ascending.

    Raises ValueError if a value is not finite or a row not in the table.

    >>> dominators([[1, 2], [2, 1], [2, 2]], [2, 0])
    [array([0, 1]), array([], dtype=int64)]
    """
    checked = _as_costs(costs)
    _check_finite(checked)
    found = []
    for row in np.asarray(rows, dtype=np.int64).reshape(-1):
        if not 0 <= row < len(checked):
            raise ValueError(f"row {row} is not in a table of {len(checked)} rows")
        found.append(np.flatnonzero((checked <= checked[row]).all(axis=1) & (checked < checked[row]).any(axis=1)))
    return found


def hypervolume(costs: ArrayLike, reference: ArrayLike, /) -> float:
    """Return the volume that the rows of costs [n, d] dominate below the reference point [d], for d = 2 or 3.

    The unit is the product of the columns' units. Rows that are not below the reference in every column add nothing.
    O(n log n) for two columns; a sweep over a staircase for three (Fonseca et al. 2006), O(n log n + n · staircase).
    Raises ValueError for other d; for these, moocore.hypervolume has the best known algorithms.

    >>> hypervolume([[1, 2], [2, 1]], [3, 3])
    3.0
    """
    checked = _as_costs(costs)
    corner = np.asarray(reference, dtype=np.float64).reshape(-1)
    d = checked.shape[1]
    if d not in (2, 3):
        raise ValueError(f"costs have {d} columns; hypervolume is for 2 or 3, use moocore.hypervolume for others")
    if len(corner) != d or not np.isfinite(corner).all():
        raise ValueError(f"reference is {corner.tolist()}; it must be {d} finite numbers")
    _check_finite(checked)
    inside = checked[:, 0] < corner[0]
    for column, end in zip(checked.T[1:], corner[1:], strict=True):
        inside &= column < end
    below = checked if inside.all() else checked[inside]
    if d == 2:
        if _are_kernels_loaded():
            from ecosel.dominance import ranks

            order = ranks.ranks_and_orders(below[:, :1])[1][0]
        else:
            order = np.argsort(below[:, 0])
        x, y = below[order, 0], np.minimum.accumulate(below[order, 1])
        return float(np.sum(np.diff(x, append=corner[0]) * (corner[1] - y)))
    from ecosel.dominance import ranks, volume

    left = _eliminated(below)[1]
    return float(volume.below(left, ranks.ranks_and_orders(left[:, 2:])[1][0], corner))


def crowding_distance(costs: ArrayLike, /) -> NDArray[np.float64]:
    """Return the crowding distance [n] of each row of one front, costs [n, d] (Deb et al. 2002, section III.B).

    It is the sum over the columns of the distance between the two neighbours, in ranges of the column; infinite at both ends
    of each column that has a range. Larger is less crowded.

    >>> crowding_distance([[0, 4], [1, 1], [4, 0]])
    array([inf,  2., inf])
    """
    checked = _as_costs(costs)
    _check_finite(checked)
    crowding = np.zeros(len(checked))
    for column in checked.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]] if len(order) else 0.0
        if spread > 0:
            crowding[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
            crowding[order[[0, -1]]] = np.inf
    return crowding


def nondominated_rows(columns: list[Costs], /) -> Rows:
    """Return the numbers of the rows that no other dominates, ascending, including copies; nothing is checked.

    columns: d arrays [n] of finite costs, each contiguous. Uses NumPy alone, and numba only if that repays loading it.
    """
    if len(best := plain.best_in_all(columns)):
        return best
    if _are_kernels_loaded():
        return np.flatnonzero(_front(np.column_stack(columns)))
    rows, left = plain.eliminate(columns)
    front = None if len(columns) == 2 and _sort_of_two(len(rows)) > _WORTH_COMPILED else plain.front(left, most=_WORTH_COMPILED)
    # sorted right away: a further elimination would be more to compile
    return rows[_front_by_sorting(np.column_stack(left))] if front is None else np.sort(rows[front])


def unbeaten_rows(columns: list[Costs], /) -> Rows:
    """Return rows, ascending, that include the fronts of every subset of the columns, in one read; nothing is checked."""
    return plain.eliminate(columns, everywhere=True)[0]


def nondominated_masks(tables: Costs, /, *, to_come: int) -> Mask:
    """Mark the front of each of r tables of costs [r, n, d] in a mask [r, n], including copies; nothing is checked.

    to_come: the number of tables of this size still to come, including these. Uses NumPy alone, and numba only if all of them
    repay loading it.
    """
    r, n, d = tables.shape
    all_pairs = 2 * d * n * n
    by_sorting = d == 2 and _sort_of_two(n) < all_pairs
    if _are_kernels_loaded() or to_come * (_sort_of_two(n) if by_sorting else all_pairs) > _WORTH_COMPILED:
        return np.stack([_front(table) for table in tables])
    if not by_sorting:
        return plain.fronts(tables)
    masks = np.zeros((r, n), dtype=np.bool_)
    for mask, table in zip(masks, tables, strict=True):
        mask[plain.front(list(table.T))] = True
    return masks


def _sort_of_two(n: int) -> int:
    return _SORT + _SORTED_ROW * n * n.bit_length()


def _are_kernels_loaded() -> bool:
    return f"{__name__}.compiled" in sys.modules


def _front(costs: Costs) -> Mask:
    """Choose the algorithm. costs are C-contiguous; they are checked to be finite along the way."""
    n, d = costs.shape
    if n == 0:
        return np.zeros(0, dtype=np.bool_)
    if d == 1:
        _check_finite(costs)
        lowest: Mask = costs[:, 0] == costs[:, 0].min()
        return lowest
    from ecosel.dominance import scan

    kept, left = _eliminated(costs)
    mask = np.zeros(n, dtype=np.bool_)
    window = np.empty(_WINDOW, dtype=np.int64)
    size = scan.window_front(left, window, (_COMPARISONS if kept is None else _COMPARISONS_LEFT) * (d - 1))
    if size >= 0:
        front = window[:size]
        mask[front if kept is None else kept[front]] = True
    elif kept is None:
        _check_finite(left)
        mask = _front_by_sorting(left)
    else:
        mask[kept] = _front_by_sorting(left)
    return mask


def _eliminated(costs: Costs) -> tuple[Rows | None, Costs]:
    """Return the rows that no elimination removes (None for all) and their costs; a value that is not finite is an error."""
    from ecosel.dominance import scan

    kept, left = None, costs
    while (before := len(left)) > _FEW_ROWS:
        again = scan.eliminate(left)
        if again is None:
            _check_finite(left)  # otherwise a sum is too large for a float
            break
        if len(again) < before:
            kept, left = (again if kept is None else kept[again]), left.take(again, axis=0)
        if 8 * len(again) > 7 * before:
            break
    return kept, left


def _front_by_sorting(costs: Costs) -> Mask:
    """Mark the front in a time that hardly depends on its size."""
    n, d = costs.shape
    if d <= 3:
        from ecosel.dominance import sweep

        return sweep.front_of_two(costs) if d == 2 else sweep.front_of_three(costs)
    if n < _WORTH_TREE << (d - 4):
        from ecosel.dominance import bits

        return bits.front_of_many(costs)
    from ecosel.dominance import tree

    return tree.front_of_many(costs)


def _as_costs(costs: ArrayLike) -> Costs:
    array = np.asarray(costs)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"costs have shape {array.shape}; they must be [n, d] with d >= 1")
    if array.dtype.kind in "iu" and array.size and (int(array.max()) > _EXACT_INT or int(array.min()) < -_EXACT_INT):
        columns: list[Any] = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in array.T]
        array = np.column_stack(columns)
    return np.ascontiguousarray(array, dtype=np.float64)


def _check_finite(costs: Costs) -> None:
    if not np.isfinite(costs).all():
        row = int(np.argmin(np.isfinite(costs).all(axis=1)))
        raise ValueError(f"row {row} holds a value that is not finite: {costs[row].tolist()}")
