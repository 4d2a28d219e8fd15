"""Reserve a device exclusively, and sample its meter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from profilers.energy.per_image import Span
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.errors import ModelError
from profilers.measuring.settings import Plan, Progress, Show
from profilers.measuring.warming_up import rest
from profilers.meters import NoMeter, find_meter
from profilers.meters.base import PowerMeter
from profilers.meters.calibration import Calibration
from profilers.meters.locks import board_lock
from profilers.meters.nvml.boards import machine
from profilers.meters.nvml.cuda import cuda_devices, device_named

# Longest wait for another measurement of the same board.
_WAIT_S = 3600.0


@dataclass(frozen=True)
class Device:
    """The device of a model: the runtime's name for it, and the lock that keeps others away."""

    code: str  # cpu, cuda:1
    name: str
    lock: str
    driver: str | None = None


def cuda_device(name: str, /) -> Device:
    """Return the board named cuda:N or by its UUID. Raises ModelError if there is none, MeterError without NVML."""
    found = machine()
    one = device_named(name, cuda_devices(found))
    if one is None:
        raise no_device(name)
    return Device(one.name, one.board.name, one.board.uuid, found.driver)


def no_device(name: str, /) -> ModelError:
    return ModelError(f"there is no device {name}; `ecosel devices` lists those found")


@dataclass(frozen=True)
class ReservedDevice:
    """A device under an exclusive lock, its meter (or the reason for having none), and the sampler that reads it."""

    place: Device
    meter: PowerMeter | NoMeter
    sampler: Sampler | Stopwatch
    idle: Span | None  # sampled before anything has run

    def plan(self, plan: Plan, /) -> Plan:
        """Return the plan, cut to a third of its seconds if there is no meter."""
        return plan.of_time_alone() if isinstance(self.meter, NoMeter) else plan

    @property
    def no_meter(self) -> str | None:
        """Return the reason why there is no meter; None if there is one."""
        return self.meter.reason if isinstance(self.meter, NoMeter) else None


@contextmanager
def reserve(
    place: Device, /, *, meter: str | None, plan: Plan, show: Show, calibration: Calibration | None = None
) -> Iterator[ReservedDevice]:
    """Keep others from measuring the device, open its meter and sample its idle power; undo all of this at the end."""
    found = find_meter(meter, place.code)
    with ExitStack() as stack:
        if not isinstance(found, NoMeter):
            stack.callback(found.close)
        for name in sorted({place.lock, getattr(found, "uuid", place.lock)}):
            stack.enter_context(board_lock(name, _WAIT_S, waiting=lambda words: show(Progress(f"waiting: {words}", 0.0, 0.0))))
        sampler: Sampler | Stopwatch = Stopwatch(found) if isinstance(found, NoMeter) else Sampler(found)
        sampler.calibration = calibration
        stack.enter_context(sampler)
        yield ReservedDevice(place, found, sampler, rest(sampler, plan, "idle power", show))
