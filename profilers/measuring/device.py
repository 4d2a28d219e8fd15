"""A device that nobody else measures, with its meter being sampled; and the energy of a model that is in memory already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Energy, Span, time_per_image
from profilers.energy.sampler import Sampler, Stopwatch
from profilers.errors import MeterError, ModelError
from profilers.measuring.inference import Batch, Inference
from profilers.measuring.measurement import energy_of, measure, rest
from profilers.measuring.settings import Mode, Plan, Progress, Show
from profilers.meters import NoMeter, find_meter
from profilers.meters.base import PowerMeter
from profilers.meters.locks import board_lock
from profilers.meters.nvml.cuda import cuda_devices, device_named
from profilers.meters.rapl import processor_name

# Another measurement of the same board is waited for.
_WAIT_S = 3600.0


@dataclass(frozen=True)
class Device:
    """Where the model runs: the name that torch has for it, and whose lock keeps others away."""

    torch_name: str
    name: str
    lock: str
    driver: str | None = None


@dataclass(frozen=True)
class ReservedDevice:
    """A device under an exclusive lock, its meter (or why there is none) and the sampler that reads it."""

    place: Device
    meter: PowerMeter | NoMeter
    sampler: Sampler | Stopwatch
    idle: Span | None  # sampled before anything ran


@contextmanager
def reserve(device: str, /, *, meter: str | None, plan: Plan, show: Show) -> Iterator[ReservedDevice]:
    """Keep others from measuring the device, open its meter and sample its idle power; undo all that at the end."""
    place = find_device(device)
    found = find_meter(meter, place.torch_name)
    with ExitStack() as stack:
        if not isinstance(found, NoMeter):
            stack.callback(found.close)
        for name in sorted({place.lock, getattr(found, "uuid", place.lock)}):
            stack.enter_context(board_lock(name, _WAIT_S, waiting=lambda words: show(Progress(f"waiting: {words}", 0.0, 0.0))))
        sampler: Sampler | Stopwatch = Stopwatch() if isinstance(found, NoMeter) else Sampler(found)
        stack.enter_context(sampler)
        yield ReservedDevice(place, found, sampler, rest(sampler, plan, "idle power", show))


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
    with reserve(device, meter=meter, plan=plan, show=show) as table:
        plan = plan.of_time_alone() if isinstance(table.meter, NoMeter) else plan
        inference = Inference(module, batches, device=torch.device(table.place.torch_name), mode=mode, seed=seed)
        inference.run(inference.batches)
        warm = rest(table.sampler, plan, "idle power with the model", show)
        rng = np.random.default_rng(seed)
        result = measure(inference, table.sampler, plan, rng=rng, show=show, idle_cold=table.idle, idle_warm=warm)
        energy = (
            Energy(reasons=(table.meter.reason,)) if isinstance(table.meter, NoMeter) else energy_of(table.sampler, result.marks)
        )
    return ModuleCost(time_per_image(result.marks.groups).scaled(inference.images), energy, result.ended_by)


def find_device(device: str) -> Device:
    """Find a device without opening it: its idle power is measured first."""
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return Device("cpu", f"{processor_name()}, {torch.get_num_threads()} threads", "cpu")
    if not re.fullmatch(r"cuda(:\d+)?|(GPU|MIG)-.+", device):
        raise ValueError(f"--device {device!r} is none of auto, cpu, cuda, cuda:N, GPU-UUID, MIG-UUID")
    if not torch.cuda.is_available():
        raise ModelError(f"--device {device}: PyTorch finds no CUDA device here; --device cpu runs on the processor")
    name = "cuda:0" if device == "cuda" else device
    try:
        from profilers.meters.nvml.boards import machine

        found = machine()
        if (one := device_named(name, cuda_devices(found))) is not None:
            return Device(one.name, one.board.name, one.board.uuid, found.driver)
    except MeterError:  # without NVML there is no meter, and the rest can still be measured
        if name.startswith("cuda") and int(name[5:]) < torch.cuda.device_count():
            return Device(name, torch.cuda.get_device_name(name), name.replace(":", "-"))
    raise ModelError(f"there is no device {device}; `ecosel devices` lists what there is")
