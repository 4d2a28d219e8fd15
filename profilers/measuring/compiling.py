"""Measure a model on a reserved device, and where it is to be compiled before and after: → windows on a trace."""

from __future__ import annotations

import dataclasses

import numpy as np

from profilers.energy.per_image import Window, Windows
from profilers.errors import ModelError
from profilers.inference.protocol import Inference
from profilers.measuring.device import ReservedDevice
from profilers.measuring.measurement import Measurement, measure
from profilers.measuring.settings import Plan, Progress, Show
from profilers.measuring.warming_up import rest
from profilers.results.building import Compilation


class NotCompiled(ModelError):  # noqa: N818
    """A model that was measured as it is cannot be compiled."""

    def __init__(self, reason: str, eager: Measurement) -> None:
        super().__init__(reason)
        self.eager = eager


def measure_inference(
    inference: Inference, device: ReservedDevice, plan: Plan, /, *, seed: int, show: Show, compiled: bool = False
) -> tuple[Measurement, Compilation | None]:
    """Measure a model; where it is to be compiled, before and after. Raise NotCompiled where it cannot be."""
    inference.try_out()
    warm = rest(device.sampler, plan, "idle power with the model", show)

    def measured() -> Measurement:
        rng = np.random.default_rng(seed)
        return measure(inference, device.sampler, plan, rng=rng, show=show, idle_cold=device.idle, idle_warm=warm)

    eager = measured()
    if not compiled:
        return eager, None
    show(Progress("compiling", 0.0, 0.0))
    try:
        compilation = Compilation(_compile(inference, device, eager.marks), eager.marks)
    except ModelError as error:
        raise NotCompiled(f"compiled, {error}", eager) from error
    return measured(), compilation


def _compile(inference: Inference, device: ReservedDevice, eager: Windows) -> Windows:
    """Compile the model by its first calls, one for every size of batch, and mark the time that this took."""
    sampler = device.sampler
    with inference.compiling():
        if eager.counter:
            sampler.await_tick()
        sampler.read()
        start_s = sampler.now()
        images = inference.run_each_size()
        end_s = sampler.now()
    sampler.read()
    if eager.counter:
        sampler.await_tick()
    sampler.wait(2 * eager.interval_s)
    return dataclasses.replace(eager, groups=(Window(start_s, end_s, images),))
