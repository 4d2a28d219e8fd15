"""Bias, error and coverage of whole simulated measurements, over the sensors of real boards and loads of several rhythms.

python -m tests.benchmarks.interval_coverage [EXPERIMENTS]

Each experiment is `measure` with its default plan on a board of 75 W idle: batches with 300 W for half (or all) of their time and
120 W else, a spread of 0.3 % between groups, sensor phase and poll jitter drawn. No counter: energy is from power alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from profilers.energy.per_image import derive
from profilers.measuring.measurement import measure
from profilers.measuring.settings import Plan
from tests.profilers.simulated import Board, SimulatedSampler

SENSORS_S = {"A100, H100": (0.1012, 0.025), "V100": (0.02, 0.01), "GeForce, RTX": (0.1, 0.1), "1 s average": (0.1, 1.0)}
LOADS = ((0.01, 1.0), (0.0506, 0.5), (0.1012, 0.5), (0.1044, 0.5), (0.202, 0.5))
_HIGH_W, _LOW_W, _SPREAD = 300.0, 120.0, 0.003


class RhythmicLoad:
    """Batches of 100 images that draw much power for a part of their time."""

    def __init__(self, sampler: SimulatedSampler, rng: np.random.Generator, *, batch_s: float, duty: float) -> None:
        self.sampler, self.rng, self.batch_s, self.duty = sampler, rng, batch_s, duty
        self.batches = max(1, int(1 / batch_s))

    @property
    def truth_j(self) -> float:
        return (_HIGH_W * self.duty + _LOW_W * (1 - self.duty)) * self.batch_s / 100

    def ready(self, batches: int, /) -> int:
        return batches

    def run(self, batches: int, /) -> int:
        factor = 1 + _SPREAD * self.rng.standard_normal()
        for _ in range(batches):
            self.sampler.spend(self.batch_s * self.duty, _HIGH_W * factor)
            if self.duty < 1:
                self.sampler.spend(self.batch_s * (1 - self.duty), _LOW_W * factor)
        return 100 * batches


@dataclass(frozen=True)
class Experiment:
    """Relative error and half interval of one measurement, and whether the interval holds the truth."""

    error: float
    half: float
    holds: bool


def experiment(
    period_s: float, window_s: float, batch_s: float, duty: float, seed: int, *, plan: Plan | None = None
) -> Experiment:
    rng = np.random.default_rng(seed)
    board = Board(period_s, window_s, counter=False, phase=float(rng.uniform()))
    sampler = SimulatedSampler(board, rng, jitter=0.01)
    load = RhythmicLoad(sampler, rng, batch_s=batch_s, duty=duty)
    plan = plan or Plan(warm_up_s=0.2, flat_s=0.1, idle_s=0.5)
    measured = measure(load, sampler, plan, rng=rng, show=lambda progress: None)
    found = derive(sampler.trace(), measured.marks).per_inference
    assert found is not None, (seed, batch_s)
    return Experiment(found.value / load.truth_j - 1, found.relative, (found.low or 0) <= load.truth_j <= (found.high or 0))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| sensor | batch ms, duty | bias, sd, max % | half interval % | holds the truth |\n| --- | --- | --- | --- | --- |")
    for name, sensor in SENSORS_S.items():
        for batch_s, duty in LOADS:
            found = [experiment(*sensor, batch_s, duty, seed) for seed in range(count)]
            errors = 100 * np.array([one.error for one in found])
            words = f"{errors.mean():+.2f}, {errors.std():.2f}, {np.abs(errors).max():.2f}"
            half, holds = 100 * np.mean([one.half for one in found]), np.mean([one.holds for one in found])
            print(f"| {name} | {1e3 * batch_s:.1f}, {duty:.0%} | {words} | {half:.2f} | {holds:.1%} |", flush=True)


if __name__ == "__main__":
    main()
