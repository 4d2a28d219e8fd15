"""Measure the seconds and joules of a torch module in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Energy, derive, time_per_image
from profilers.inference.batches import Batch
from profilers.inference.protocol import Mode
from profilers.inference.running import TorchInference
from profilers.measuring.device import reserve
from profilers.measuring.measurement import measure_inference
from profilers.measuring.settings import Plan, Show
from profilers.runtimes.pytorch import find_device


@dataclass(frozen=True)
class ModuleCost:
    """Time and energy of a model in memory: seconds for one pass over its batches, joules per image."""

    inference_time: Estimate
    energy: Energy
    ended_by: str


def measure_batches(
    module: Callable[..., object],
    batches: Sequence[Batch],
    /,
    *,
    device: str,
    mode: Mode = "paper",
    meter: str | None = None,
    plan: Plan,
    seed: int = 0,
    show: Show = lambda progress: None,
) -> ModuleCost:
    """Measure a module on `device`, over the batches of one pass, in an exclusive window on that device.

    Raises ProfilerError if it cannot be run; without a meter the energy is None, with its reason, and the time is
    measured for a third of the seconds of the plan.
    """
    with reserve(find_device(device), meter=meter, plan=plan, show=show) as reserved:
        plan = reserved.plan(plan)
        inference = TorchInference(module, batches, device=torch.device(reserved.place.code), mode=mode, seed=seed)
        measured, _ = measure_inference(inference, reserved, plan, seed=seed, show=show)
        energy = derive(reserved.sampler.trace(), measured.marks, no_meter=reserved.no_meter)
    return ModuleCost(time_per_image(measured.marks.groups).scaled(inference.images), energy, measured.ended_by)
