"""The grid of a counter's ticks is found from readings that see each tick between two of them."""

from __future__ import annotations

import numpy as np
import pytest

from profilers.energy.counter.grid import Grid, Seen
from profilers.energy.readings import Floats
from profilers.errors import WindowTooShort


def seen(times: Floats, *, period_s: float = 0.1, phase_s: float = 0.0313, call_s: float = 0.0024) -> Seen:
    """Return the readings of a counter of 100 J a tick."""
    joules = 100 * np.floor((times - phase_s) / period_s)
    ticks = np.flatnonzero(np.diff(joules) > 0) + 1
    return Seen(times, joules, np.full(len(times), call_s), ticks)


def densely(*since_s: float) -> Floats:
    """Return polls every 100 ms for 4 s, and every 4 ms for 250 ms from some moments on."""
    return np.unique(np.concatenate((np.arange(0, 4, 0.1), *(one + np.arange(0, 0.25, 0.004) for one in since_s))))


@pytest.mark.parametrize("period_s", [0.1, 0.07, 0.0997])
def test_the_period_and_the_ticks_are_within_their_errors(period_s: float) -> None:
    found = seen(densely(1.0, 2.5), period_s=period_s)
    grid, later = Grid.near(found, 1.0, 2.5)
    assert abs(grid.period_s - period_s) < 3 * grid.period_error_s < 0.003
    for one, at_s in ((grid, 1.0), (later, 2.5)):
        number = round((at_s - one.tick_s) / one.period_s)
        off_s = (one.at(number) - 0.0313) / period_s % 1
        assert min(off_s, 1 - off_s) * period_s < 3 * one.error_s < 0.005


def test_the_counter_is_known_at_ticks_that_no_dense_reading_saw() -> None:
    found = seen(densely(2.0))
    (grid,) = Grid.near(found, 2.0)
    counted = found.counted(grid, 1.0, 3.0)
    assert len(counted) > 12
    for number, joules in counted.items():
        assert joules == 100 * round((float(grid.at(number)) - 0.0313) / 0.1)


def test_one_tick_that_a_slow_call_misplaced_does_not_count() -> None:
    times = densely(1.0, 1.5, 2.0, 2.5)
    found = seen(times)
    late = found.energy_j.copy()
    tick = found.ticks[np.searchsorted(found.tick_s, 2.1)]
    late[tick : tick + 5] = late[tick - 1]
    bent = Seen(times, late, found.duration_s, np.flatnonzero(np.diff(late) > 0) + 1)
    (right,), (grid,) = Grid.near(found, 2.05), Grid.near(bent, 2.05)
    moved = (grid.tick_s - right.tick_s) / 0.1 % 1
    assert min(moved, 1 - moved) * 0.1 < 0.003


def test_ticks_without_a_rhythm_or_too_far_apart_are_refused() -> None:
    with pytest.raises(WindowTooShort, match="no two ticks"):
        Grid.near(seen(np.arange(0, 4, 0.1)), 2.0)
    rng = np.random.default_rng(3)
    times, wild = np.arange(0, 4, 0.004), np.cumsum(rng.uniform(0.03, 0.17, 40))
    joules = np.searchsorted(wild, times).astype(float)
    found = Seen(times, joules, np.full(len(times), 0.002), np.flatnonzero(np.diff(joules) > 0) + 1)
    with pytest.raises(WindowTooShort, match="does not tick regularly"):
        Grid.near(found, 2.0)
    with pytest.raises(WindowTooShort, match="no tick of the counter was seen closely near 9"):
        Grid.near(seen(densely(1.0)), 9.0)
