from __future__ import annotations

import math

import numpy as np
import pytest

from profilers.energy.intervals import Estimate, ratio, share, t_quantile


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.7062), (4, 2.7764), (9, 2.2622), (10, 2.22814), (30, 2.04227), (1000, 1.96234)]
)
def test_student_t_is_that_of_the_tables(freedom: int, value: float) -> None:
    assert t_quantile(freedom) == pytest.approx(value, abs=1e-4)


def test_a_ratio_is_of_sums_not_the_mean_of_ratios() -> None:
    # 10 J over 1 image, 10 J over 3: 20 / 4. Residuals 10 - 5 and 10 - 15, variance 50 / 2 groups over mean 2 images
    found = ratio([10, 10], [1, 3])
    assert found.value == 5
    assert found.high == pytest.approx(5 + 12.7062 * math.sqrt(50 / 2) / 2)
    assert found.low == pytest.approx(5 - 12.7062 * math.sqrt(50 / 2) / 2)


def test_one_group_has_a_value_and_no_interval() -> None:
    assert ratio([6], [3]) == Estimate(2.0)
    assert ratio([6], [3]).relative == math.inf


def test_wilson_is_that_of_the_textbook() -> None:
    found = share(8, 10)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)
    assert share(0, 5).low == 0
    assert share(5, 5).high == pytest.approx(1.0)


@pytest.mark.parametrize(("hits", "trials"), [(1, 0), (3, 2), (-1, 2)])
def test_what_is_not_a_share_is_refused(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        share(hits, trials)


def test_the_interval_of_a_ratio_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(2000):
        images = rng.integers(50, 150, 12)
        estimate = ratio(0.03 * images * (1 + 0.02 * rng.standard_normal(12)), images)
        assert estimate.low is not None
        assert estimate.high is not None
        inside += estimate.low <= 0.03 <= estimate.high
    assert 0.93 <= inside / 2000 <= 0.97


def test_errors_that_follow_a_sine_of_the_phase_are_taken_off_and_the_interval_still_covers() -> None:
    """A reading with a time constant of 190 ms, new every 100 ms, before a load of 50 or 101 ms: off by up to 4 % a group."""
    rng = np.random.default_rng(6)
    for times in (1, 2, 4):
        inside, halves = 0, []
        for _ in range(400):
            turns = (rng.uniform() + 2 * np.arange(11) / 5) % 1
            joules = 3 + 0.12 * np.sin(2 * np.pi * (times * turns + 0.3)) + 0.01 * rng.standard_normal(11)
            found = ratio(joules, np.full(11, 100), turns=turns)
            inside += (found.low or 0) <= 0.03 <= (found.high or 0)
            halves.append(found.relative)
        assert 0.92 <= inside / 400 <= 0.98, times
        assert np.mean(halves) < 0.004  # without the phases 0.02


def test_a_sine_of_the_phase_replaces_blocks_that_are_too_few() -> None:
    """Two blocks have one degree of freedom; three are left alone."""
    turns = (0.1 + 2 * np.arange(15) / 5) % 1
    joules = 3 + np.sin(2 * np.pi * turns) + 0.01 * np.random.default_rng(8).standard_normal(15)
    images = np.full(15, 100)
    few = ratio(joules[:13], images[:13], block=5, turns=turns[:13])
    assert few.value == pytest.approx(0.03, rel=0.005)
    assert few.relative < 0.005
    assert ratio(joules, images, block=5, turns=turns) == ratio(joules, images, block=5)
    assert ratio(joules[:7], images[:7], block=5, turns=turns[:7]) == ratio(joules[:7], images[:7], block=5)


def test_groups_that_do_not_follow_the_phase_are_left_alone() -> None:
    rng = np.random.default_rng(7)
    joules, images, turns = rng.normal(3, 0.1, 12), np.full(12, 100), rng.uniform(size=12)
    assert ratio(joules, images, turns=turns) == ratio(joules, images)
    assert ratio(joules[:7], images[:7], turns=turns[:7]) == ratio(joules[:7], images[:7])
    assert ratio(joules, images, turns=np.full(12, 0.4)) == ratio(joules, images)
