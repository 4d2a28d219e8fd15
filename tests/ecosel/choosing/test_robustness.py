"""Shares against a dense grid and against known areas; memberships against closed forms."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecosel.choosing.robustness import RESAMPLES, Resampling, resample, win_shares
from ecosel.choosing.scoring import distances
from ecosel.selection import select


def grid_shares(z: np.ndarray, steps: int = 20_001) -> np.ndarray:
    """Slow twin for two objectives: who is nearest at each of many weightings (midpoints); copies win together."""
    t = (np.arange(steps) + 0.5) / steps
    squared = (t[:, None] * np.abs(z[:, 0])) ** 2 + ((1 - t)[:, None] * np.abs(z[:, 1])) ** 2
    shares: np.ndarray = (squared <= squared.min(axis=1, keepdims=True) * (1 + 1e-12)).mean(axis=0)
    return shares


@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 12).map(lambda k: k / 12)))
def test_shares_of_two_objectives_are_exact(z: np.ndarray) -> None:
    # rows of a front only: no row may be dominated
    front = z[[not ((z <= row).all(axis=1) & (z < row).any(axis=1)).any() for row in z]]
    result = win_shares(front, seed=0)
    assert result.error == 0
    # a tie at one weighting alone has no share, but may count in the grid at its one point
    assert result.shares == pytest.approx(grid_shares(front), abs=4e-4)


def test_two_mirrored_rows_share_the_weightings_equally() -> None:
    assert win_shares(np.array([[0.2, 0.8], [0.8, 0.2]]), seed=0).shares == pytest.approx([0.5, 0.5])


def test_shares_of_many_rows_are_found_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = np.random.default_rng(0).uniform(0, np.pi / 2, 300)
    z = np.column_stack([np.cos(angles), np.sin(angles)]) ** np.linspace(0.4, 1.8, 300)[:, None]
    at_once = win_shares(z, seed=0)
    monkeypatch.setattr("ecosel.choosing.robustness._BLOCK", 7)
    in_blocks = win_shares(z, seed=0)
    assert (at_once.shares == in_blocks.shares).all()
    assert np.array_equal(at_once.weightings, in_blocks.weightings, equal_nan=True)
    assert 2 < len(at_once.winners) < 300


def test_a_row_above_the_hull_never_wins() -> None:
    # (0.75, 0.75) is nondominated; its squares lie above the line between (0, 1) and (1, 0)
    result = win_shares(np.array([[0.0, 1.0], [1.0, 0.0], [0.75, 0.75]]), seed=0)
    assert result.shares[2] == 0
    assert np.isnan(result.weightings[2]).all()


def test_copies_win_together() -> None:
    assert win_shares(np.array([[0.2, 0.8], [0.8, 0.2], [0.2, 0.8]]), seed=0).shares == pytest.approx([0.5, 0.5, 0.5])


def test_sampled_shares_are_within_their_stated_error_of_the_known_ones() -> None:
    # by symmetry a third each
    z = np.array([[0.1, 1.0, 1.0], [1.0, 0.1, 1.0], [1.0, 1.0, 0.1]])
    result = win_shares(z, seed=1)
    assert result.error == pytest.approx(1.96 * 0.5 / math.sqrt(10_000), rel=1e-4)
    assert result.shares == pytest.approx([1 / 3] * 3, abs=result.error)
    assert result.shares.sum() == pytest.approx(1)


def test_a_third_objective_that_is_equal_for_all_leaves_shares_near_those_of_two() -> None:
    # with the third deviation 0 for all rows, t = w1 / (w1 + w2) is uniform on the simplex too
    two = np.array([[0.1, 0.9], [0.5, 0.4], [0.9, 0.1]])
    exact = win_shares(two, seed=0).shares
    sampled = win_shares(np.column_stack([two, np.zeros(3)]), seed=0)
    assert sampled.shares == pytest.approx(exact, abs=2 * sampled.error)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_weighting_given_for_a_row_makes_it_the_nearest(d: int) -> None:
    for seed in range(20):
        z = np.random.default_rng(seed).random((15, d))
        result = win_shares(z, seed=0)
        for row in np.flatnonzero(result.shares > 0):
            weighting = result.weightings[row]
            assert weighting.sum() == pytest.approx(1)
            assert np.argmin(distances(z, weighting)) == row, f"seed {seed}"


def test_the_same_seed_gives_the_same_shares() -> None:
    z = np.random.default_rng(0).random((30, 4))
    assert (win_shares(z, seed=5).shares == win_shares(z, seed=5).shares).all()
    assert (win_shares(z, seed=5).shares != win_shares(z, seed=6).shares).any()


def resampled(costs: np.ndarray, std: np.ndarray, *, seed: int = 0) -> Resampling:
    result = resample(costs, std, std, distance=nearest_to_zero, seed=seed)
    assert result is not None
    return result


def nearest_to_zero(costs: np.ndarray) -> np.ndarray:
    return distances(costs, np.ones(costs.shape[1]))


def test_the_smaller_of_two_normal_measurements_wins_as_often_as_theory_says() -> None:
    # P(X < Y) for X ~ N(1, 0.1), Y ~ N(1.1, 0.1) is Phi(0.1 / (0.1 * sqrt 2)) = 0.7602
    costs, std = np.array([[1.0], [1.1]]), np.full((2, 1), 0.1)
    result = resampled(costs, std)
    assert [result.of(row)[1] for row in (0, 1)] == pytest.approx([0.7602, 0.2398], abs=3 * math.sqrt(0.76 * 0.24 / RESAMPLES))
    assert all(on_front == pick for on_front, pick in result.rows.values())


def test_exact_measurements_give_certainty() -> None:
    costs, zero = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]), np.zeros((3, 2))
    result = resampled(costs, zero)
    assert [result.of(row)[0] for row in range(3)] == [1, 1, 0]


def test_rows_out_of_reach_change_nothing() -> None:
    # one hundred rows far behind are set aside before the draws, so those of the first two stay the same
    near, far = np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((100, 2), 50.0)
    alone = resampled(near, np.full((2, 2), 0.5), seed=3)
    std = np.full((102, 2), 0.5)
    together = resampled(np.vstack([near, far]), std, seed=3)
    assert together.rows == alone.rows
    assert set(together.rows) == {0, 1}


def test_intervals_and_standard_deviations_of_the_same_error_give_the_same_probabilities() -> None:
    frame = pl.DataFrame({"q": [0.80, 0.82, 0.81], "c": [1.0, 1.05, 1.1]})
    std = frame.with_columns(pl.lit(0.03).alias("c_std"))
    ends = frame.with_columns(
        (pl.col("c") - 1.959963984540054 * 0.03).alias("c_low"),
        (pl.col("c") + 1.959963984540054 * 0.03).alias("c_high"),
    )
    members = [select(f, {"q": "max", "c": "min"}).choices[0].resampling for f in (std, ends)]
    assert members[0] is not None
    assert members[1] is not None
    assert members[0].rows == members[1].rows
    assert len(members[0].rows) == 3


def test_without_measurement_errors_there_are_no_probabilities() -> None:
    assert select(pl.DataFrame({"q": [1.0], "c": [1.0]}), {"q": "max", "c": "min"}).choices[0].resampling is None


def test_an_asymmetric_interval_is_resampled_on_its_own_sides() -> None:
    # B can only become better than stated, A is exact at 1: B (1.1, down to 0.9) beats A in P(Z < -0.98) = 0.1635
    frame = pl.DataFrame({"c": [1.0, 1.1], "c_low": [1.0, 0.9], "c_high": [1.0, 1.1]})
    member = select(frame, {"c": "min"}).choices[0].resampling
    assert member is not None
    assert 1 - member.of(0)[1] == pytest.approx(0.1635, abs=3 * math.sqrt(0.16 * 0.84 / RESAMPLES))


def test_a_measurement_better_than_the_ideal_is_not_punished() -> None:
    # B is the pick unless A comes out better than B: a draw of A above the ideal (10) is at the ideal, not beyond it
    frame = pl.DataFrame({"m": ["A", "B"], "q": [10.0, 9.0], "q_std": [1.0, 0.0], "c": [2.0, 1.9], "c_std": [0.0, 0.0]})
    member = select(frame, {"q": "max", "c": "min"}, weights={"q": 10.0}).choices[0].resampling
    assert member is not None
    on_front, pick = member.of(0)
    assert on_front == pytest.approx(0.8413, abs=3 * math.sqrt(0.84 * 0.16 / RESAMPLES))
    assert pick > 0.75


def test_rows_off_the_front_have_their_probability_too() -> None:
    frame = pl.DataFrame({"q": [5.0, 5.0], "c": [1.0, 1.05], "c_std": [0.2, 0.2]})
    choice = select(frame, {"q": "max", "c": "min"}).choices[0]
    assert choice.front == (0,)
    assert choice.resampling is not None
    # P(N(1.05, 0.2) < N(1, 0.2)) = Phi(-0.05 / (0.2 sqrt 2)) = 0.4298
    assert choice.resampling.of(1)[1] == pytest.approx(0.4298, abs=3 * math.sqrt(0.25 / RESAMPLES))


def test_many_rows_in_reach_are_resampled_less_often() -> None:
    costs, std = np.random.default_rng(0).random((8_000, 2)), np.full((8_000, 2), 5.0)
    assert resampled(costs, std).resamples == 250


def test_too_many_rows_in_reach_are_not_resampled_and_a_remark_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecosel.choosing.robustness.MOST_REACHING", 1)
    frame = pl.DataFrame({"q": [5.0, 5.0], "c": [1.0, 1.05], "c_std": [0.2, 0.2]})
    selection = select(frame, {"q": "max", "c": "min"})
    assert selection.choices[0].resampling is None
    assert selection.remarks == (
        "the measurement errors of q, c are not resampled, as more than 100,000 models may be on the front",
    )


def test_rows_out_of_reach_are_found_even_where_only_some_of_the_front_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(0, 1, 200)
    costs = np.vstack([np.column_stack([x, 1 - x]), np.full((200, 2), 50.0)])
    std = np.full((400, 2), 0.001)
    exact = resampled(costs, std)
    monkeypatch.setattr("ecosel.choosing.robustness._COMPARED", 4_000)  # ten of the front
    assert resampled(costs, std).rows == exact.rows
    many = np.tile(costs[:1], (20_000, 1))  # a table of ties, compared with each other, would take minutes
    assert len(resampled(np.vstack([many, costs[-3:]]), np.full((20_003, 2), 0.0)).rows) == 20_000
