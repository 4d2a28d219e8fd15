"""The beat of a load in step with a sensor, on readings whose mean over whole beats is known."""

from __future__ import annotations

import numpy as np
import pytest

from profilers.energy.beat import find_beat
from profilers.energy.window import Floats

_PERIOD_S, _WINDOW_S = 0.1012, 0.025
TIMES = np.arange(0.0, 7.5, _PERIOD_S)


def readings(cycle_s: float, duty: float, phase: float) -> Floats:
    """Return what a sensor that sees 25 of every 101.2 ms reads of a load between 60 and 260 W."""
    seen = TIMES[:, None] - np.linspace(0, _WINDOW_S, 26)
    return np.asarray(np.where((seen / cycle_s + phase) % 1 < duty, 260.0, 60.0).mean(axis=1), np.float64)


@pytest.mark.parametrize("cycle_s", [0.1044, 0.0982])
@pytest.mark.parametrize("duty", [0.4, 0.5, 0.6])
def test_the_mean_of_whole_beats_is_that_of_the_load(cycle_s: float, duty: float) -> None:
    for phase in (0.0, 0.3, 0.7):
        watts = readings(cycle_s, duty, phase)
        found = find_beat(TIMES, watts, _PERIOD_S)
        assert found is not None, phase
        truth_w = 60 + 200 * duty
        assert found.mean_w == pytest.approx(truth_w, rel=0.02), phase
        assert found.length_s == pytest.approx(1 / abs(1 / cycle_s - 1 / _PERIOD_S), rel=0.1)


def test_a_load_that_switches_slowly_or_at_random_is_not_a_beat() -> None:
    slowly = np.where(TIMES % 3.3 < 1.65, 260.0, 60.0)
    at_random = np.random.default_rng(0).choice([60.0, 260.0], len(TIMES))
    once = np.where(TIMES > 4, 260.0, 60.0)
    steady = 200 + np.random.default_rng(0).normal(0, 2, len(TIMES))
    for watts in (slowly, at_random, once, steady, readings(0.1044, 0.5, 0.0)[:20]):
        assert find_beat(TIMES[: len(watts)], watts, _PERIOD_S) is None
