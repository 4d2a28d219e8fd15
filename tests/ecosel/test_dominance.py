"""The front is that of the definition, of a peer, and of every order of the rows."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ecosel.dominance import dominators, nondominated_mask, nondominated_rank

Table = NDArray[np.float64]


def by_definition(costs: Table) -> NDArray[np.bool_]:
    """Slow twin: compare every row with every other."""
    no_worse = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    better = (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    mask: NDArray[np.bool_] = np.logical_not(np.any(no_worse & better, axis=0))
    return mask


def random_table(seed: int) -> Table:
    """Draw a table of 1 to 64 rows and 1 to 8 columns: floats, or few levels and so many copies."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 65)), int(rng.integers(1, 9)))
    if seed % 3 == 0:
        return rng.normal(size=shape)
    levels: Table = (
        rng.integers(-2, int(rng.integers(1, 9)), size=shape) * 1.0 * rng.choice([1.0, 0.0, -1.0, 1e300], size=shape[1])
    )
    return levels


def test_front_is_that_of_the_definition_on_10_000_small_tables() -> None:
    for seed in range(10_000):
        costs = random_table(seed)
        assert (nondominated_mask(costs) == by_definition(costs)).all(), f"seed {seed}"


def test_first_keeps_one_row_of_each_group_of_copies() -> None:
    for seed in range(500):
        costs = random_table(seed)
        kept = np.flatnonzero(nondominated_mask(costs, copies="first"))
        front = costs[by_definition(costs)]
        first = [int(np.flatnonzero((costs == row).all(axis=1))[0]) for row in np.unique(front, axis=0)]
        assert kept.tolist() == sorted(first), f"seed {seed}"


@pytest.mark.parametrize("d", [2, 3, 4, 6])
@pytest.mark.parametrize("kind", ["uniform", "correlated", "sphere", "ties"])
def test_front_of_a_large_table_is_the_peers(kind: str, d: int) -> None:
    rng = np.random.default_rng(d)
    n = 3_000 if kind == "sphere" else 50_000
    costs = rng.random((n, d))
    if kind == "sphere":
        costs = np.abs(rng.normal(size=(n, d)))
        costs /= np.linalg.norm(costs, axis=1)[:, None]
    elif kind == "correlated":
        costs = np.exp(rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, d)))
    elif kind == "ties":
        costs = rng.integers(0, 32, size=(n, d)).astype(float)
    assert (nondominated_mask(costs) == moocore.is_nondominated(costs, keep_weakly=True)).all()


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(0, 4).map(float)),
    st.randoms(),
)
def test_row_order_does_not_change_the_front(costs: Table, random: object) -> None:
    order = np.random.default_rng(random.randrange(2**32)).permutation(len(costs))  # type: ignore[attr-defined]
    assert (nondominated_mask(costs)[order] == nondominated_mask(costs[order])).all()


@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)))
def test_a_monotone_map_of_a_column_does_not_change_the_front(costs: Table) -> None:
    mapped = costs.copy()
    mapped[:, 0] = np.unique(costs[:, 0], return_inverse=True)[1].reshape(-1)
    assert (nondominated_mask(costs) == nondominated_mask(mapped)).all()


def test_equal_rows_do_not_dominate_each_other() -> None:
    assert nondominated_mask(np.ones((5, 3))).all()


def test_negative_zero_equals_zero() -> None:
    assert nondominated_mask([[0.0, 1.0], [-0.0, 1.0]]).all()


def test_arguments_are_not_changed() -> None:
    costs = np.random.default_rng(0).random((30_000, 3))
    costs.setflags(write=False)
    nondominated_mask(costs)
    nondominated_rank(costs[:200])


def test_no_rows_have_no_front() -> None:
    assert nondominated_mask(np.empty((0, 3))).tolist() == []
    assert nondominated_rank(np.empty((0, 3))).tolist() == []


def test_rank_counts_the_longest_chain_of_dominators() -> None:
    for seed in range(200):
        costs = random_table(seed)
        rank = nondominated_rank(costs)
        for row in range(len(costs)):
            (above,) = dominators(costs, [row])
            assert rank[row] == (rank[above].max() + 1 if len(above) else 0), f"seed {seed}"


def test_dominators_are_those_of_the_definition() -> None:
    assert [rows.tolist() for rows in dominators([[1, 2], [2, 1], [2, 2], [2, 2]], [2, 0])] == [[0, 1], []]
    with pytest.raises(ValueError, match="row 7 is not in a table of 2 rows"):
        dominators([[1.0], [2.0]], [7])


@pytest.mark.parametrize(
    ("costs", "message"),
    [([[1.0, np.nan]], "row 0"), ([[1.0], [np.inf]], "row 1"), ([1.0, 2.0], "shape"), (np.empty((3, 0)), "shape")],
)
def test_costs_that_cannot_be_compared_are_refused(costs: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nondominated_mask(costs)  # type: ignore[arg-type]


def test_unknown_kind_of_copies_is_refused() -> None:
    with pytest.raises(ValueError, match="copies is 'last'"):
        nondominated_mask([[1.0]], copies="last")  # type: ignore[arg-type]
