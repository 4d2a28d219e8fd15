"""Reserve a device exclusively, sample its meter, warm it up, and find the update period of its sensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from profilers.energy.per_image import Span
from profilers.energy.readings import sensor_of
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.energy.sensor.probing import identify
from profilers.energy.window import Floats
from profilers.errors import ModelError
from profilers.measuring.settings import Plan, Progress, Show
from profilers.meters import NoMeter, find_meter
from profilers.meters.base import PowerMeter
from profilers.meters.calibration import Calibration
from profilers.meters.locks import board_lock
from profilers.meters.nvml.boards import machine
from profilers.meters.nvml.cuda import cuda_devices, device_named

# Longest wait for another measurement of the same board.
_WAIT_S = 3600.0


Run = Callable[[int], int]  # the next batches; returns how many images they held
# Fast enough for all known boards, and long enough to see the slowest of them update 25 times.
_FAST_S, _LEARN_S = 0.002, 2.5
_FLAT_POWER = 0.005  # share of the mean per second
_FLAT_TEMPERATURE = 0.1  # degrees per second


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


def rest(sampler: Sampler | Stopwatch, plan: Plan, phase: str, show: Show, /) -> Span | None:
    """Sample an idle device; return None without a meter, or with a declared power."""
    if isinstance(sampler.meter, NoMeter) or sampler.meter.capabilities().assumed:
        return None
    start_s = sampler.now()
    show(Progress(phase, 0.0, plan.idle_s))
    sampler.wait(plan.idle_s)
    return start_s, sampler.now()


def warm_up(run: Run, sampler: Sampler | Stopwatch, plan: Plan, show: Show, /) -> str:
    """Run the load until power and temperature (or, without a meter, the time per image) are flat; return what ended it."""
    start_s = sampler.now()
    rates: list[tuple[float, float]] = []
    batches = 1
    while (spent := sampler.now() - start_s) < plan.warm_up_s:
        show(Progress("warming up", spent / plan.warm_up_s, plan.warm_up_s - spent))
        begin_s = sampler.now()
        images = run(batches)
        taken_s = sampler.now() - begin_s
        rates.append((sampler.now(), taken_s / images))
        batches = max(1, min(2 * batches, round(batches * plan.flat_s / 10 / max(taken_s, 1e-6))))
        if sampler.now() - start_s >= plan.flat_s and _flat(sampler, rates, plan.flat_s):
            return f"flat after {sampler.now() - start_s:.1f} s"
    return f"cut off at {plan.warm_up_s:g} s, not yet flat"


def _flat(sampler: Sampler | Stopwatch, rates: list[tuple[float, float]], flat_s: float) -> bool:
    since = sampler.now() - flat_s
    if isinstance(sampler.meter, NoMeter):
        times, values = (np.array(column) for column in zip(*rates, strict=True))
        return _level(times, values, since, relative=_FLAT_POWER)
    trace = sampler.trace()
    column = sampler.meter.capabilities().column
    if column is None:
        times, joules = trace.series("energy_j", edges=False)
        times, watts = times[1:], np.diff(joules) / np.diff(times)
    else:
        times, watts = trace.series(column, edges=False)
    warm = _level(*trace.series("temperature_c"), since, absolute=_FLAT_TEMPERATURE)
    return warm and _level(times, watts, since, relative=_FLAT_POWER)


def _level(times: Floats, values: Floats, since: float, *, relative: float = 0.0, absolute: float = 0.0) -> bool:
    """Tell whether a line through the values is flat, or its slope is smaller than twice its standard error."""
    t, v = times[times >= since], values[times >= since]
    if len(t) < 3:
        return True
    t = t - t.mean()
    spread = float(t @ t)
    slope = float(t @ (v - v.mean())) / spread
    error = math.sqrt(float(np.square(v - v.mean() - slope * t).sum()) / (len(t) - 2) / spread)
    return abs(slope) <= max(absolute, relative * abs(float(v.mean())), 2 * error)


def find_period(run: Run, sampler: Sampler | Stopwatch, /) -> float | None:
    """Find the update period under load by fast polls, then poll at that period; return None if it cannot be found."""
    can = sampler.meter.capabilities()
    column = can.column
    if isinstance(sampler, Stopwatch) or column is None or can.assumed:
        return None
    usual_s, start_s = sampler.interval_s, sampler.now()
    sampler.poll_every(_FAST_S)
    while sampler.now() - start_s < _LEARN_S:
        run(1)
    times, watts = sampler.trace().series(column, edges=False)
    found = identify(times[times >= start_s], watts[times >= start_s]).update_period_s
    period_s = None if found is None else found.value
    sampler.poll_every(sensor_of(sampler.meter, period_s=period_s)[1].poll_s(usual_s))
    return period_s
