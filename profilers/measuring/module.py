"""Measure a module that is in memory, on a reserved device: its batches → windows on a trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch._inductor.utils import fresh_cache

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Energy, Window, Windows, derive, time_per_image
from profilers.errors import ModelError
from profilers.inference.batches import Batch
from profilers.inference.modes import Mode
from profilers.inference.running import Inference
from profilers.measuring.device import ReservedDevice, reserve
from profilers.measuring.measurement import Measurement, measure, rest
from profilers.measuring.settings import Plan, Progress, Show
from profilers.meters import NoMeter
from profilers.models.torch_errors import quiet
from profilers.results.building import Compilation


@dataclass(frozen=True)
class ModuleCost:
    """Time and energy of a model in memory: seconds for one pass over its batches, joules per image."""

    inference_time: Estimate
    energy: Energy
    ended_by: str


def measure_module(
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
    """Measure a module that stands on `device`, over the batches of one pass, in an exclusive window on that device.

    Raises ProfilerError where it cannot be run; without a meter the energy is None, with its reason, and the time is
    measured for a third of the seconds of the plan.
    """
    with reserve(device, meter=meter, plan=plan, show=show) as reserved:
        plan = plan.of_time_alone() if isinstance(reserved.meter, NoMeter) else plan
        inference = Inference(module, batches, device=torch.device(reserved.place.torch_name), mode=mode, seed=seed)
        measured, _ = measure_inference(inference, reserved, plan, seed=seed, show=show)
        energy = derive(reserved.sampler.trace(), measured.marks, no_meter=reserved.no_meter)
    return ModuleCost(time_per_image(measured.marks.groups).scaled(inference.images), energy, measured.ended_by)


def measure_inference(
    inference: Inference, device: ReservedDevice, plan: Plan, /, *, seed: int, show: Show, compiled: bool = False
) -> tuple[Measurement, Compilation | None]:
    """Measure a model on a reserved device; where it is to be compiled, before and after."""
    if inference.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(inference.device)
    inference.run_each_size()
    warm = rest(device.sampler, plan, "idle power with the model", show)

    def measured() -> Measurement:
        rng = np.random.default_rng(seed)
        return measure(inference, device.sampler, plan, rng=rng, show=show, idle_cold=device.idle, idle_warm=warm)

    eager = measured()
    if not compiled:
        return eager, None
    show(Progress("compiling", 0.0, 0.0))
    compilation = Compilation(_compile(inference, device, eager.marks), eager.marks)
    return measured(), compilation


def _compile(inference: Inference, device: ReservedDevice, eager: Windows) -> Windows:
    """Compile the model by its first calls, one for every size of batch, and mark the time that this took.

    No earlier run's compilation is used: neither of this process nor of the caches on disk.
    """
    sampler = device.sampler
    torch._dynamo.reset()
    with quiet():
        inference.module = torch.compile(inference.module)
    if eager.counter:
        sampler.await_tick()
    sampler.read()
    start_s = sampler.now()
    try:
        with quiet(), fresh_cache():
            images = inference.run_each_size()
    except ModelError as error:
        raise ModelError(f"compiled, {error}") from error
    end_s = sampler.now()
    sampler.read()
    if eager.counter:
        sampler.await_tick()
    sampler.wait(2 * eager.interval_s)
    return dataclasses.replace(eager, groups=(Window(start_s, end_s, images),))
