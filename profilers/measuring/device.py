"""Reserve a device that nobody else may measure, with its meter being sampled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from profilers.energy.per_image import Span
from profilers.energy.sampler import Sampler, Stopwatch
from profilers.errors import MeterError, ModelError
from profilers.measuring.measurement import rest
from profilers.measuring.settings import Plan, Progress, Show
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

    @property
    def no_meter(self) -> str | None:
        """Return why there is no meter, None where there is one."""
        return self.meter.reason if isinstance(self.meter, NoMeter) else None


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
        sampler: Sampler | Stopwatch = Stopwatch(found) if isinstance(found, NoMeter) else Sampler(found)
        stack.enter_context(sampler)
        yield ReservedDevice(place, found, sampler, rest(sampler, plan, "idle power", show))


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
