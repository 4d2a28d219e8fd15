"""Models that run in turn: their ratios are true whatever the device does, and each carries its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from profilers.energy.sampling.sampler import Stopwatch
from profilers.energy.sampling.trace import PowerTrace
from profilers.measuring.device import rest
from profilers.measuring.measurement import marks_of
from profilers.measuring.settings import Plan
from profilers.measuring.several.comparison import compare
from tests.profilers.simulated import Board, SimulatedSampler

PLAN = Plan(ci=0.02, min_s=4.0, max_s=20.0, warm_up_s=2.0)


class _Steady:
    """Batches of 100 images, of a time and a power each."""

    batches = 10

    def __init__(self, sampler: SimulatedSampler, seconds: float, watts: float) -> None:
        self.sampler, self.seconds, self.watts = sampler, seconds, watts

    def ready(self, batches: int, /) -> int:
        return batches

    def run(self, batches: int, /) -> int:
        self.sampler.spend(batches * self.seconds, self.watts)
        return 100 * batches


def test_ratios_of_time_and_energy_are_those_of_the_models_by_counter_and_by_power() -> None:
    for counter in (True, False):
        rng = np.random.default_rng(5)
        board = Board(counter=counter)
        sampler = SimulatedSampler(board, rng)
        loads = [_Steady(sampler, seconds, watts) for seconds, watts in ((0.02, 300.0), (0.01, 200.0), (0.03, 300.0))]
        base = marks_of(sampler, idle_cold=None, idle_warm=rest(sampler, PLAN, "idle", lambda progress: None))
        found = compare(loads, sampler, PLAN, rng=rng, show=lambda progress: None, base=base)
        trace = sampler.trace()
        for model, time, energy in ((1, 0.5, 1 / 3), (2, 1.5, 1.5)):
            assert found.time_ratio(model).value == pytest.approx(time, rel=1e-6)
            joules = found.energy_ratio(model, trace)
            assert joules is not None
            assert joules.value == pytest.approx(energy, rel=0.01)
            assert joules.low is not None
            assert joules.high is not None
            assert joules.low <= energy * 1.01
            assert joules.high >= energy * 0.99


class _Clock(Stopwatch):
    """Simulated time without a meter."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s


class _Slowing:
    """A load on a device that becomes twice as slow within a minute, and stumbles."""

    batches = 10

    def __init__(self, clock: _Clock, seconds: float, rng: np.random.Generator) -> None:
        self.clock, self.seconds, self.rng = clock, seconds, rng

    def ready(self, batches: int, /) -> int:
        return batches

    def run(self, batches: int, /) -> int:
        for _ in range(batches):
            drift = 1 + self.clock.time_s / 60
            self.clock.time_s += self.seconds * drift * float(self.rng.uniform(0.9, 1.1))
        return batches * 100


def test_a_device_that_slows_down_does_not_change_the_ratios_and_they_say_how_sure_they_are() -> None:
    rng = np.random.default_rng(8)
    clock = _Clock()
    loads = [_Slowing(clock, seconds, rng) for seconds in (0.02, 0.014)]
    base = marks_of(clock, idle_cold=None, idle_warm=None)
    found = compare(loads, clock, PLAN, rng=rng, show=lambda progress: None, base=base)
    ratio = found.time_ratio(1)
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < 0.7 < ratio.high
    assert ratio.relative < PLAN.ci
    assert found.energy_ratio(1, PowerTrace.empty()) is None
    assert "every ratio is within" in found.ended_by


def test_every_round_has_another_order() -> None:
    clock = _Clock()
    rng = np.random.default_rng(3)
    loads = [_Slowing(clock, 0.02, rng) for _ in range(3)]
    base = marks_of(clock, idle_cold=None, idle_warm=None)
    found = compare(loads, clock, PLAN, rng=rng, show=lambda progress: None, base=base)
    starts = np.array([[group.start_s for group in groups] for groups in found.groups])
    firsts = {int(model) for model in starts.argmin(axis=0)}
    assert firsts == {0, 1, 2}
    assert all(len(groups) == starts.shape[1] for groups in found.groups)
    assert not math.isnan(found.time_ratio(2).relative)
