"""The mean of several trainings, and its interval."""

from __future__ import annotations

import math

import pytest

from evolver.jobs import Outcome
from evolver.search.run_state import reestimated


def test_the_mean_of_trainings_carries_the_error_of_images_and_of_seeds() -> None:
    outcomes = [Outcome("ok", accuracy=a, accuracy_low=a - 0.03, accuracy_high=a + 0.02) for a in (0.8, 0.9, 0.85)]
    found = reestimated(outcomes)
    assert found.accuracy == pytest.approx(0.85)
    assert found.std == pytest.approx(0.05)
    assert found.trainings == 3
    seeds = 4.303 * 0.05 / math.sqrt(3)
    assert found.low == pytest.approx(0.85 - math.hypot(0.03, seeds))
    assert found.high == pytest.approx(0.85 + math.hypot(0.02, seeds))


def test_a_training_that_failed_counts_as_none_correct() -> None:
    found = reestimated([Outcome("ok", accuracy=0.9), Outcome("nan", "not finite"), Outcome("ok", accuracy=0.9)])
    assert found.accuracy == pytest.approx(0.6)
    assert (found.low, found.high) == (0.0, 1.0)


def test_one_training_is_not_an_estimate_of_the_seeds() -> None:
    with pytest.raises(ValueError, match="1 trainings; there must be 2 to 5"):
        reestimated([Outcome("ok", accuracy=0.9)])
