"""The front is that of the definition, of a peer, and of every order of the rows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache, lru_cache
from pathlib import Path

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ecosel import dominance
from ecosel.dominance import (
    compiled,
    crowding_distance,
    dominators,
    hypervolume,
    nondominated_mask,
    nondominated_masks,
    nondominated_pairs,
    nondominated_rank,
    nondominated_rows,
    plain,
    ranks,
    tree,
    unbeaten_rows,
)
from tests.conftest import ROOT, environment

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


def test_front_is_that_of_the_definition_and_first_keeps_one_of_each_group_of_copies_on_10_000_small_tables() -> None:
    for seed in range(10_000):
        costs = random_table(seed)
        expected = by_definition(costs)
        assert (nondominated_mask(costs) == expected).all(), f"seed {seed}"
        kept = np.flatnonzero(nondominated_mask(costs, copies="first"))
        first: dict[bytes, int] = {}
        for row in np.flatnonzero(expected).tolist():
            first.setdefault((costs[row] + 0.0).tobytes(), row)  # -0 is 0
        assert kept.tolist() == list(first.values()), f"seed {seed}"


def large_table(kind: str, n: int, d: int) -> Table:
    """Draw a table whose front is small (uniform, correlated), all of it (sphere), or full of copies (ties, rounded)."""
    rng = np.random.default_rng(d)
    if kind == "uniform":
        return rng.random((n, d))
    if kind == "correlated":
        correlated: Table = np.exp(rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, d)))
        return correlated
    if kind == "ties":
        return rng.integers(0, 32, size=(n, d)).astype(float)
    sphere: Table = np.abs(rng.normal(size=(n, d)))
    sphere /= np.linalg.norm(sphere, axis=1)[:, None]
    return sphere if kind == "sphere" else np.round(sphere * 64)


KINDS = ["uniform", "correlated", "sphere", "ties", "rounded"]


@lru_cache(1)
def large_case(kind: str, d: int) -> tuple[Table, NDArray[np.bool_], int]:
    """Return a table, its front by the peer, and how many different rows are on it."""
    costs = large_table(kind, 150_000 if kind in ("uniform", "ties") else 12_000, d)
    costs.setflags(write=False)
    expected = moocore.is_nondominated(costs, keep_weakly=True) if d > 1 else costs[:, 0] == costs[:, 0].min()
    return costs, expected, len(np.unique(costs[expected], axis=0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("cores", [1, 2, 3])  # the next to each other share the case
def test_front_of_a_large_table_is_the_peers_on_any_number_of_cores(
    kind: str, d: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "CORES", cores)
    costs, expected, different = large_case(kind, d)
    assert (nondominated_mask(costs) == expected).all()
    first = nondominated_mask(costs, copies="first")
    assert first.sum() == different
    assert not (first & ~expected).any()


@pytest.mark.parametrize("d", [2, 3, 4, 6, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_sorting_alone_finds_the_front(kind: str, d: int) -> None:
    costs = large_table(kind, 9_000, d)
    expected = moocore.is_nondominated(costs, keep_weakly=True)
    assert (dominance._front_by_sorting(costs) == expected).all()
    if d > 3:
        assert (tree.front_of_many(costs) == expected).all()


@pytest.mark.parametrize("d", [2, 3, 4, 10])
def test_sorting_alone_finds_the_front_of_rows_around_the_size_of_a_block(d: int) -> None:
    for n in (1, 511, 512, 513, 1_100):
        rng = np.random.default_rng(n)
        tables: list[Table] = [
            rng.random((n, d)),
            rng.integers(0, 3, (n, d)).astype(np.float64),
            np.ones((n, d)),
            np.sort(rng.random((n, d)), axis=0),
        ]
        for costs in tables:
            assert (dominance._front_by_sorting(costs) == by_definition(costs)).all(), (n, d)
            assert (nondominated_rank(costs) == moocore.pareto_rank(costs)).all(), (n, d)


@pytest.mark.parametrize("n", [5, 900, 3_000, 40_000])
def test_ranks_are_those_of_a_sort(n: int) -> None:
    rng = np.random.default_rng(n)
    ends = np.array([0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, 1.0])
    columns = [
        rng.random(n),
        rng.normal(size=n),
        np.exp(100 * rng.normal(size=n)),
        rng.integers(-2, 3, n) * 1.0,
        rng.choice(ends, n),
        # alike in the leading bits, as another row is far away: the insertion gives up
        np.append(1 + rng.permutation(n - 1) * 2.0**-50, -1e300),
        np.append(1 - np.arange(n - 1) * 2.0**-50, 1e300),
        np.full(n, -3.0),
    ]
    found, orders = ranks.ranks_and_orders(np.column_stack(columns))
    for column, rank, order in zip(columns, found, orders, strict=True):
        assert (rank == np.unique(column, return_inverse=True)[1]).all()
        assert (np.diff(column[order]) >= 0).all()
        assert sorted(order) == list(range(n))


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_front_of_costs_whose_sum_is_too_large_for_a_float(d: int) -> None:
    costs = large_table("uniform", 6_000, d)
    costs *= np.random.default_rng(d).choice([1.7e308, -1.7e308], d)
    assert (nondominated_mask(costs) == moocore.is_nondominated(costs, keep_weakly=True)).all()


@pytest.mark.parametrize("d", [2, 4])
def test_a_dominator_whose_sum_rounds_to_that_of_the_row_is_found(d: int) -> None:
    costs = large_table("uniform", 6_000, d) * 1e-9
    costs[:, 0] += np.random.default_rng(d).integers(0, 3, len(costs)) * 1e15
    assert (nondominated_mask(costs) == moocore.is_nondominated(costs, keep_weakly=True)).all()


@pytest.mark.parametrize("d", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_the_peers(kind: str, d: int) -> None:
    costs = large_table(kind, 4_000, d)
    assert (nondominated_rank(costs) == moocore.pareto_rank(costs)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_the_fronts_of_two_columns_each(kind: str) -> None:
    costs = large_table(kind, 60_000, 5)
    pairs = nondominated_pairs(costs[:, 0], costs[:, 1:])
    for j in range(4):
        assert (pairs[:, j] == nondominated_mask(costs[:, [0, j + 1]])).all(), f"pair {j}"


def test_pairs_of_one_row_and_of_tables_of_different_lengths() -> None:
    assert nondominated_pairs([1.0], [[2.0, 3.0]]).tolist() == [[True, True]]
    with pytest.raises(ValueError, match="quality has 1 rows, costs have 2"):
        nondominated_pairs([1.0], [[2.0], [3.0]])


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("d", [2, 3])
def test_hypervolume_is_the_peers(d: int, loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominance, "_are_kernels_loaded", lambda: loaded)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        costs = rng.integers(0, 9, (int(rng.integers(1, 40)), d)) * 1.0 if seed % 2 else rng.random((40, d))
        reference = rng.uniform(0.5, 9, d)
        theirs = moocore.hypervolume(costs, ref=reference)
        assert hypervolume(costs, reference) == pytest.approx(theirs, rel=1e-12, abs=1e-12), f"seed {seed}"
    for kind in KINDS:
        costs = large_table(kind, 5_000, d)
        theirs = moocore.hypervolume(costs, ref=np.full(d, 1.5))
        assert hypervolume(costs, np.full(d, 1.5)) == pytest.approx(theirs, rel=1e-9), kind


def test_hypervolume_of_other_numbers_of_columns_names_a_library() -> None:
    with pytest.raises(ValueError, match=r"use moocore\.hypervolume"):
        hypervolume([[1.0, 2.0, 3.0, 4.0]], [5.0] * 4)
    with pytest.raises(ValueError, match="it must be 2 finite numbers"):
        hypervolume([[1.0, 2.0]], [5.0])
    assert hypervolume(np.empty((0, 3)), [1.0, 1.0, 1.0]) == 0


def test_crowding_distance_worked_by_hand() -> None:
    # columns 0..4 and 8..0: the second row stands between 0 and 2 of 4, and between 8 and 2 of 8: 2/4 + 6/8
    assert crowding_distance([[0, 8], [1, 4], [2, 2], [4, 0]]).tolist() == [np.inf, 1.25, 1.25, np.inf]
    assert crowding_distance([[1, 1], [1, 1]]).tolist() == [0, 0]
    assert crowding_distance(np.empty((0, 2))).tolist() == []


def test_integers_beyond_the_floats_are_ranked_without_loss() -> None:
    costs = np.array([[2**60 + 1, 5], [2**60, 5], [2**60, 6], [-(2**62), 7]])
    assert nondominated_mask(costs).tolist() == [False, True, False, True]
    assert nondominated_rank(costs).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("n", [50, 10_000, 200_000])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_row_that_is_not_finite_is_named_in_a_table_of_any_size(n: int, bad: float) -> None:
    costs = large_table("uniform", n, 3)
    costs[[n // 3, n - 1], 1] = bad
    for function in (nondominated_mask, nondominated_rank):
        with pytest.raises(ValueError, match=f"row {n // 3} holds a value that is not finite"):
            function(costs)
    with pytest.raises(ValueError, match=f"row {n // 3} holds a value that is not finite"):
        nondominated_pairs(costs[:, 0], costs[:, 1:])


def test_numpy_alone_finds_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        for d in (1, 2, 3, 5):
            costs = large_table(kind, 30_000 if kind in ("uniform", "correlated", "ties") else 1_500, d)
            columns = list(np.ascontiguousarray(costs.T))
            rows, left = plain.eliminate(columns)
            front = plain.front(left)
            assert front is not None
            expected = np.flatnonzero(nondominated_mask(costs)).tolist()
            assert sorted(rows[front]) == expected, (kind, d)
            unbeaten = set(unbeaten_rows(columns).tolist())
            for k in range(d):  # the fronts of all columns, of one, and of two
                pair = np.flatnonzero(nondominated_mask(costs[:, [k, k - 1]])).tolist()
                assert unbeaten.issuperset([*expected, *np.flatnonzero(costs[:, k] == costs[:, k].min()), *pair]), (kind, d)
            for loaded in (False, True):
                monkeypatch.setattr(dominance, "_are_kernels_loaded", lambda loaded=loaded: loaded)
                assert nondominated_rows(columns).tolist() == expected, (kind, d, loaded)


def test_a_large_front_is_left_to_the_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominance, "_are_kernels_loaded", lambda: False)
    columns = list(np.ascontiguousarray(large_table("sphere", 30_000, 3).T))
    assert plain.front(columns, most=dominance._WORTH_COMPILED) is None
    assert len(nondominated_rows(columns)) == 30_000


@cache
def many_tables(seed: int) -> tuple[Table, list[NDArray[np.bool_]]]:
    """Return tables [r, n, d] and the front of each by definition."""
    rng = np.random.default_rng(seed)
    r, n, d = (int(k) for k in rng.integers(1, (20, 90, 6)))
    r, n = (3, 800) if seed % 20 == 0 else (r, n)
    tables = rng.integers(0, 9, (r, n, d)).astype(np.float64) if seed % 2 else rng.normal(size=(r, n, d))
    return tables, [by_definition(table) for table in tables]


@pytest.mark.parametrize("to_come", [1, 10**9])
@pytest.mark.parametrize("loaded", [False, True])
def test_the_fronts_of_many_tables_are_those_of_each(loaded: bool, to_come: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominance, "_are_kernels_loaded", lambda: loaded)
    for seed in range(60):
        tables, expected = many_tables(seed)
        assert (nondominated_masks(tables, to_come=to_come) == expected).all(), f"seed {seed}"


def test_many_tables_repay_the_start_of_the_kernels_and_few_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominance, "_are_kernels_loaded", lambda: False)
    monkeypatch.setattr(dominance, "_front", lambda table: np.zeros(len(table), dtype=np.bool_))
    for d in (2, 3):
        table = np.random.default_rng(d).random((1, 1_000, d))
        assert nondominated_masks(table, to_come=20).any()
        assert not nondominated_masks(table, to_come=10_000).any()


def test_a_cache_that_cannot_be_written_is_not_an_error(tmp_path: Path) -> None:
    # neither beside the modules nor in a cache of the user's: files stand where the folders would be
    copy = tmp_path / "site" / "ecosel"
    shutil.copytree(ROOT / "ecosel", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "dominance" / "__pycache__").write_text("")
    (tmp_path / "file").write_text("")
    code = "import numpy as np; from ecosel.dominance import nondominated_mask as f; print(f(np.random.rand(9000, 2)).sum() > 0)"
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment(PYTHONPATH=str(tmp_path / "site"), XDG_CACHE_HOME=str(tmp_path / "file"), HOME=str(tmp_path / "file")),
    )  # fmt: skip
    assert (outcome.stdout, outcome.returncode) == ("True\n", 0), outcome.stderr
    assert not list(copy.rglob("*.nbi"))


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
