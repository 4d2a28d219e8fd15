"""Measure opened models in turn, examine each, and make a profile of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profilers.inference.looking import SideFigures, look_closely
from profilers.inference.protocol import Inference
from profilers.measuring.device import ReservedDevice, rest
from profilers.measuring.measurement import Measurement, marks_of
from profilers.measuring.profile import assemble, metric_of
from profilers.measuring.runtime import Prepared, Runtime
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.measuring.several.comparison import Rounds, compare
from profilers.results.inference_profile import InferenceProfile


@dataclass(frozen=True)
class Opened:
    """A model on the device, with the settings with which it was opened."""

    settings: ProfileSettings
    runtime: Runtime
    prepared: Prepared


def measure_side_by_side(
    opened: Sequence[Opened], device: ReservedDevice, /, *, show: Show, others: Sequence[Inference] = ()
) -> tuple[Rounds, list[tuple[SideFigures, InferenceProfile]]]:
    """Measure the models, and then others without a profile, using the plan and the seed of the first."""
    first = opened[0].settings
    plan = device.plan(first.plan)
    warm = rest(device.sampler, plan, "idle power with the models", show)
    base = marks_of(device.sampler, idle_cold=device.idle, idle_warm=warm)
    inferences = [*(one.prepared.inference for one in opened), *others]
    rounds = compare(inferences, device.sampler, plan, rng=np.random.default_rng(first.seed), show=show, base=base)
    found = []
    for number, one in enumerate(opened):
        show(Progress(f"looking closely at {one.settings.name}", number / len(opened), 0.0))
        metric = metric_of(one.settings)
        looked = look_closely(one.prepared.inference, one.prepared.data, latency_s=plan.min_s / 4, metric=metric)
        shared = looked.reasons | {"peak_memory": "several models share the process"}
        looked = dataclasses.replace(looked, peak_memory_bytes=None, reasons=shared)
        measurement = Measurement(rounds.marks(number), rounds.warm_up, rounds.ended_by)
        profiled = assemble(one.settings, one.runtime, device, one.prepared, (measurement, None), looked)
        found.append((looked, profiled.profile))
    return rounds, found
