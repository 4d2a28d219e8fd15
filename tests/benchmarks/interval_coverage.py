"""Bias, error and coverage of whole simulated measurements, over the sensors of real boards and loads of several rhythms.

python -m tests.benchmarks.interval_coverage [EXPERIMENTS [SENSOR ...]]

Each experiment is `measure` with its default plan on a board of 75 W idle: batches with 300 W for half (or all) of their time and
120 W else, a spread of 0.3 % between groups, sensor phase and poll jitter drawn. No counter: energy is from power alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from profilers.energy import per_image
from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats
from profilers.energy.window import power_estimate
from profilers.measuring import measurement
from profilers.measuring.settings import Plan
from tests.profilers.simulated import Board, Named, SimulatedSampler


@dataclass(frozen=True)
class BoardSensor:
    """A sensor that averages over a window, or, where it has a time constant, one that is known by its board's name."""

    period_s: float
    window_s: float = 0.0
    time_constant_s: float = 0.0
    name: str = ""

    def board(self, phase: float) -> Board:
        constant_s, named = self.time_constant_s, Named(self.name)
        return Board(self.period_s, self.window_s, counter=False, phase=phase, time_constant_s=constant_s, board=named)


SENSORS = {
    "A100, H100": BoardSensor(0.1012, 0.025),
    "Quadro RTX 8000": BoardSensor(0.1, 0.02),
    "V100, P100": BoardSensor(0.02, 0.01),
    "M40": BoardSensor(0.031, 0.014),
    "RTX 30, 40": BoardSensor(0.1, 0.1),
    "RTX 20, TITAN RTX": BoardSensor(0.101, 0.101),
    "1 s average": BoardSensor(0.1, 1.0),
    "K40m": BoardSensor(0.0154, time_constant_s=0.0535, name="Tesla K40m"),
    "K80, TITAN X": BoardSensor(0.1, time_constant_s=0.19, name="Tesla K80"),
}
LOADS = ((0.002, 1.0), (0.0506, 0.5), (0.1012, 0.5), (0.202, 0.5), (2.5, 0.5))
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
        if self.duty == 1:
            self.sampler.spend(batches * self.batch_s, _HIGH_W * factor)
            return 100 * batches
        for _ in range(batches):
            self.sampler.spend(self.batch_s * self.duty, _HIGH_W * factor)
            self.sampler.spend(self.batch_s * (1 - self.duty), _LOW_W * factor)
        return 100 * batches


@dataclass(frozen=True)
class Experiment:
    """Relative error and half interval of one measurement, whether the interval holds the truth, and its warnings."""

    error: float
    half: float
    holds: bool
    warnings: tuple[str, ...]


@contextmanager
def _cheaply() -> Iterator[None]:
    """Derive a group that another has followed once, not at every look; and ask nothing of the processor of this machine."""
    known: dict[tuple[float, float], Estimate] = {}

    def remembered(time_s: Floats, power_w: Floats, start_s: float, end_s: float, **limits: Any) -> Estimate:
        found = known.get((start_s, end_s)) or power_estimate(time_s, power_w, start_s, end_s, **limits)
        if math.isfinite(limits["idle_until_s"] or math.inf):
            known[start_s, end_s] = found
        return found

    with (
        mock.patch.object(per_image, "power_estimate", remembered),
        mock.patch.object(measurement, "processor_time", return_value=None),
    ):
        yield


def experiment(sensor: BoardSensor, batch_s: float, duty: float, seed: int, *, plan: Plan | None = None) -> Experiment:
    rng = np.random.default_rng(seed)
    sampler = SimulatedSampler(sensor.board(float(rng.uniform())), rng, jitter=0.01)
    load = RhythmicLoad(sampler, rng, batch_s=batch_s, duty=duty)
    plan = plan or Plan(warm_up_s=0.2, flat_s=0.1, idle_s=0.5)
    with _cheaply():
        measured = measurement.measure(load, sampler, plan, rng=rng, show=lambda progress: None)
        energy = per_image.derive(sampler.trace(), measured.marks)
    found = energy.per_inference
    assert found is not None, (seed, batch_s, energy.reasons)
    holds = (found.low or 0) <= load.truth_j <= (found.high or 0)
    return Experiment(found.value / load.truth_j - 1, found.relative, holds, energy.warnings)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    chosen = {name: sensor for name, sensor in SENSORS.items() if not sys.argv[2:] or name in sys.argv[2:]}
    print("| sensor | batch ms, duty | bias, sd, max % | half interval % | holds the truth | in step, warned |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, sensor in chosen.items():
        for batch_s, duty in LOADS:
            found = [experiment(sensor, batch_s, duty, seed) for seed in range(count)]
            errors = 100 * np.array([one.error for one in found])
            words = f"{errors.mean():+.2f}, {errors.std():.2f}, {np.abs(errors).max():.2f}"
            half, holds = 100 * np.mean([one.half for one in found]), np.mean([one.holds for one in found])
            warned = np.mean([any("in step" in warning for warning in one.warnings) for one in found])
            cells = f"{1e3 * batch_s:g}, {duty:.0%} | {words} | {half:.2f} | {holds:.1%} | {warned:.0%}"
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
