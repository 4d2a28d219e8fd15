"""The protocol of a measurement, on boards whose true power is known."""

from __future__ import annotations

import numpy as np
import pytest

from profilers.derivation import derive
from profilers.protocol import Measurement, Plan, measure, rest
from profilers.sampler import Stopwatch
from tests.profilers.simulated import Board, SimulatedSampler, SteadyLoad


def run(board: Board, seed: int, *, spread: float = 0.0, plan: Plan | None = None) -> tuple[Measurement, SimulatedSampler, SteadyLoad]:
    rng = np.random.default_rng(seed)
    board.phase = float(rng.uniform())
    sampler = SimulatedSampler(board, rng)
    load = SteadyLoad(sampler, rng, spread=spread)
    plan = plan or Plan(warm_up_s=1.0, flat_s=0.5)
    warm = rest(sampler, plan, "idle", lambda progress: None)
    return measure(load, sampler, plan, rng=rng, show=lambda progress: None, idle_warm=warm), sampler, load


@pytest.mark.parametrize("sensor", [(0.02, 0.025), (0.02, 0.1), (0.02, 1.0), (0.1, 0.025), (0.1, 0.1), (0.1, 1.0)])
def test_a_steady_load_gives_its_true_energy_by_counter_and_by_power(sensor: tuple[float, float]) -> None:
    for seed in range(5):
        measured, sampler, load = run(Board(*sensor), seed)
        energy = derive(sampler.trace(), measured.marks)
        assert energy.counter is not None, f"{seed=}"
        assert energy.power is not None
        assert energy.counter.value == pytest.approx(load.truth_j, rel=0.002), f"{seed=}"
        assert energy.power.value == pytest.approx(load.truth_j, rel=0.005), f"{seed=}"
        assert energy.source == "nvml-counter"
        assert energy.idle_warm_w == pytest.approx(75, rel=0.01)
        assert energy.above_idle_j == pytest.approx(load.truth_j * 225 / 300, rel=0.01)
        assert energy.mean_power_w == pytest.approx(300, rel=0.005)


def test_the_interval_covers_the_true_value() -> None:
    inside = 0
    for seed in range(1000):
        measured, sampler, load = run(Board(tick_s=0.02), seed, spread=0.015, plan=Plan(warm_up_s=0.2, flat_s=0.2, idle_s=0.5))
        estimate = derive(sampler.trace(), measured.marks).per_inference
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        inside += estimate.low <= load.truth_j <= estimate.high
    print(inside)
    assert 930 <= inside <= 970
