"""Warm up, repeat groups of batches, stop when the interval is narrow enough: a load and a sampler → marks on a trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from profilers.energy.per_image import PHASES, Span, Window, Windows, derive, time_per_image
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.energy.sensor.probing import identify
from profilers.energy.window import Floats, Sensor
from profilers.machine.processor import lost_share, processor_time
from profilers.measuring.settings import Plan, Progress, Show
from profilers.meters import NoMeter
from profilers.meters.base import PowerMeter
from profilers.meters.known_boards import known_lag

# A t interval over fewer groups stops too early too often: see test_the_interval_covers_the_true_value.
_FEWEST_GROUPS, _FEWEST_BLOCKS = 10, 5
# Stopping at the first narrow interval prefers those that are narrow by chance.
_NARROW_LOOKS = 2
# An update period and an averaging window that hold for a board that does not tell them: the slowest that are known.
_UNKNOWN_SENSOR = Sensor(0.1, 0.1, assumed=True)
_AVERAGING_S = 1.0
# Fast enough for all known boards, for long enough to see the slowest of them update 25 times.
_FAST_S, _LEARN_S = 0.002, 2.5
_FLAT_POWER, _FLAT_TEMPERATURE = 0.005, 0.1  # of the mean a second, degrees a second
_LONGEST_PAUSE_S = 0.1
_DISTURBED = 0.02  # of the processor time that a group wanted
_PATIENCE = 3  # how much longer it is waited for enough groups that nobody disturbed
# Of idleness, to know its power: readings in a pause (two whatever their phase), and seconds after the last group.
_LEVEL_READINGS, _SETTLED_S = 2.5, 0.3


class Load(Protocol):
    """A model and its batches on a device."""

    @property
    def batches(self) -> int:
        """Return the number of batches in one pass over the evaluation set."""

    def ready(self, batches: int, /) -> int:
        """Prepare what the next run needs; return how many batches it may have, fewer where memory is short."""

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return how many images they held."""


@dataclass(frozen=True)
class Measurement:
    """The marks of a measurement, and the rules that ended its phases."""

    marks: Windows
    warm_up: str
    ended_by: str


def sensor_of(meter: PowerMeter | NoMeter, /, *, period_s: float | None = None) -> tuple[str | None, Sensor]:
    """Return the column of a trace whose power is to be integrated, and how that reading lags; `period_s` was found."""
    can = meter.capabilities()
    if not can.power and not can.average_power:
        return None, Sensor()
    usual = _UNKNOWN_SENSOR if can.power else Sensor(_UNKNOWN_SENSOR.update_period_s, _AVERAGING_S)
    lag = known_lag(getattr(getattr(meter, "board", None), "name", "")) if can.power else None
    if lag is not None:
        usual = Sensor(lag.update_period_s, lag.averaging_window_s, lag.time_constant_s)
    stated_s = period_s if period_s is not None else can.update_period_s
    sensor = replace(
        usual,
        update_period_s=usual.update_period_s if stated_s is None else stated_s,
        averaging_window_s=usual.averaging_window_s if can.averaging_window_s is None else can.averaging_window_s,
        assumed=usual.assumed and can.averaging_window_s is None,
    )
    return "power_w" if can.power else "average_power_w", sensor


def find_period(load: Load, sampler: Sampler | Stopwatch, /) -> float | None:
    """Find the update period under load by fast polls, and go on to poll at it; None where the readings do not tell."""
    column, _ = sensor_of(sampler.meter)
    if isinstance(sampler, Stopwatch) or column is None or sampler.meter.name.startswith("constant"):
        return None
    usual_s, start_s = sampler.interval_s, sampler.now()
    sampler.poll_every(_FAST_S)
    while sampler.now() - start_s < _LEARN_S:
        load.run(1)
    times, watts = sampler.trace().series(column, edges=False)
    found = identify(times[times >= start_s], watts[times >= start_s]).update_period_s
    period_s = None if found is None else found.value
    sampler.poll_every(sensor_of(sampler.meter, period_s=period_s)[1].poll_s(usual_s))
    return period_s


def rest(sampler: Sampler | Stopwatch, plan: Plan, phase: str, show: Show, /) -> Span | None:
    """Sample an idle device; None where no meter, or a declared power, would tell anything."""
    if isinstance(sampler.meter, NoMeter) or sampler.meter.name.startswith("constant"):
        return None
    start_s = sampler.now()
    show(Progress(phase, 0.0, plan.idle_s))
    sampler.wait(plan.idle_s)
    return start_s, sampler.now()


def warm_up(load: Load, sampler: Sampler | Stopwatch, plan: Plan, show: Show, /) -> str:
    """Run the load until power and temperature (or, without a meter, the time per image) are flat; say what ended it."""
    start_s = sampler.now()
    rates: list[tuple[float, float]] = []
    batches = 1
    while (spent := sampler.now() - start_s) < plan.warm_up_s:
        show(Progress("warming up", spent / plan.warm_up_s, plan.warm_up_s - spent))
        begin_s = sampler.now()
        images = load.run(batches)
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
    column, _ = sensor_of(sampler.meter)
    if column is None:
        times, joules = trace.series("energy_j", edges=False)
        times, watts = times[1:], np.diff(joules) / np.diff(times)
    else:
        times, watts = trace.series(column, edges=False)
    warm = _level(*trace.series("temperature_c"), since, absolute=_FLAT_TEMPERATURE)
    return warm and _level(times, watts, since, relative=_FLAT_POWER)


def _level(times: Floats, values: Floats, since: float, *, relative: float = 0.0, absolute: float = 0.0) -> bool:
    """Say whether a line through the values is flat, or its slope smaller than twice its standard error."""
    t, v = times[times >= since], values[times >= since]
    if len(t) < 3:
        return True
    t = t - t.mean()
    spread = float(t @ t)
    slope = float(t @ (v - v.mean())) / spread
    error = math.sqrt(float(np.square(v - v.mean() - slope * t).sum()) / (len(t) - 2) / spread)
    return abs(slope) <= max(absolute, relative * abs(float(v.mean())), 2 * error)


def measure(
    load: Load,
    sampler: Sampler | Stopwatch,
    plan: Plan,
    /,
    *,
    rng: np.random.Generator,
    show: Show,
    idle_cold: Span | None = None,
    idle_warm: Span | None = None,
) -> Measurement:
    """Repeat groups of batches until the interval of the energy, or without a meter of the time, is within `plan.ci`.

    Before each group the device idles until the sensor shows nothing of the group before, and on to the next of evenly spread
    phases of the sensor's update period, so that no rhythm of the load keeps in step with that of the sensor.
    """
    warm = warm_up(load, sampler, plan, show)
    base = marks_of(sampler, idle_cold=idle_cold, idle_warm=idle_warm, period_s=find_period(load, sampler))
    batches = group_size(load, sampler, plan, base)
    groups: list[Window] = []
    start_s = sampler.now()
    narrow = 0
    too_short_s = _shortest_group(base)
    phases = phases_of(rng)
    pause(sampler, base, next(phases))
    while True:
        group = run_group(load, sampler, batches)
        pause(sampler, base, next(phases))
        if group.duration_s < too_short_s:
            batches *= 2  # other work on the machine had slowed the load while its groups were sized
            continue
        groups.append(group)
        marks = _with(base, groups)
        busy_s, spent_s = sum(group.duration_s for group in groups), sampler.now() - start_s
        what, reached = "energy", math.inf
        block = 1 if base.counter else base.block
        looked = len(groups) >= max(_FEWEST_GROUPS, _FEWEST_BLOCKS * block) and len(groups) % block == 0
        if looked or spent_s >= plan.max_s:
            what, reached = _relative(sampler, marks)
            narrow = narrow + 1 if reached <= plan.ci else 0
        disturbed = len(marks.groups) == len(groups) and not all(map(is_quiet, groups))
        if busy_s >= plan.min_s * (_PATIENCE if disturbed else 1) and narrow >= _NARROW_LOOKS:
            ended_by = f"the 95 % interval of the {what} is within {plan.ci:.2%} ({reached:.2%})"
            break
        if spent_s >= plan.max_s:
            told = f"at {reached:.2%}, not {plan.ci:.2%}" if math.isfinite(reached) else "unknown"
            ended_by = f"{plan.max_s:g} s were over with the 95 % interval of the {what} {told}"
            break
        show(_estimate(plan, busy_s, spent_s, len(groups), reached))
    after_s = sampler.now()
    sampler.wait(base.sensor.lag_s + _SETTLED_S)
    marks = _with(base, groups, idle_after=(after_s + base.sensor.lag_s, sampler.now()) if idle_warm else None)
    return Measurement(marks, warm, ended_by)


def group_size(load: Load, sampler: Sampler | Stopwatch, plan: Plan, marks: Windows, /) -> int:
    """Return how many batches last about `group_s`: whole passes where a pass is shorter."""
    begin_s = sampler.now()
    count = 1
    load.run(count)
    while (taken_s := sampler.now() - begin_s) < plan.group_s / 10:
        count *= 2
        begin_s = sampler.now()
        load.run(count)
    group_s = max(plan.group_s, _shortest_group(marks))
    wanted = group_s * count / taken_s
    if wanted >= load.batches:
        return load.batches * max(1, round(wanted / load.batches))
    return max(1, round(wanted))


def _shortest_group(marks: Windows) -> float:
    """Return a length in which several readings fall with their whole averaging window."""
    return marks.sensor.clean_s + 5 * marks.interval_s if marks.sensor.lag_s else 0.0


def run_group(load: Load, sampler: Sampler | Stopwatch, batches: int, /) -> Window:
    """Run some batches, with a reading of the meter at either end."""
    batches = load.ready(batches)
    before = processor_time()
    sampler.read()
    start_s = sampler.now()
    images = load.run(batches)
    end_s = sampler.now()
    sampler.read()
    return Window(start_s, end_s, images, lost_share(before, processor_time()))


def phases_of(rng: np.random.Generator, /) -> Iterator[float]:
    """Yield parts of a period: in each block of groups evenly spread, from a phase that is drawn anew."""
    while True:
        first = float(rng.uniform())
        yield from (first + 2 * number / PHASES for number in range(PHASES))


def pause(sampler: Sampler | Stopwatch, marks: Windows, phase: float, /) -> None:
    """Wait for the counter's tick after a load, idleness that the sensor shows, the phase, and the tick before the next load."""
    end_s = sampler.now()
    if marks.counter:
        sampler.await_tick()
    sampler.wait((marks.pause_s or 0.0) - (sampler.now() - end_s))
    period_s = marks.sensor.update_period_s or _LONGEST_PAUSE_S
    sampler.wait((phase * period_s - sampler.now()) % period_s)
    if marks.counter:
        sampler.await_tick()


def marks_of(
    sampler: Sampler | Stopwatch, /, *, idle_cold: Span | None, idle_warm: Span | None, period_s: float | None = None
) -> Windows:
    """Return the marks of a measurement that is yet to run; `period_s` is the update period that was found."""
    column, sensor = sensor_of(sampler.meter, period_s=period_s)
    can = sampler.meter.capabilities()
    pause_s = sensor.settled_s + _LEVEL_READINGS * sampler.interval_s if column else None
    base = Windows((), sampler.meter.name, column, can.energy, sensor, sampler.interval_s, idle_cold, idle_warm, pause_s=pause_s)
    return replace(base, gain_error=can.gain_error, offset_error_w=can.offset_error_w, calibration=sampler.calibration)


def is_quiet(group: Window, /) -> bool:
    """Say whether a group had the processor to itself."""
    return group.lost is None or group.lost <= _DISTURBED


def _with(marks: Windows, groups: list[Window], *, idle_after: Span | None = None) -> Windows:
    """Add the groups to the marks: where enough of them had the processor to themselves, these alone count.

    Groups whose phases belong together are kept or left out together.
    """
    blocks = [groups[first : first + marks.block] for first in range(0, len(groups), marks.block)]
    quiet = [group for block in blocks if all(map(is_quiet, block)) for group in block]
    used = quiet if len(quiet) >= _FEWEST_GROUPS else groups
    others = tuple(group for group in groups if group not in used)
    return replace(marks, groups=tuple(used), others=(*marks.others, *others), idle_after=idle_after)


def _relative(sampler: Sampler | Stopwatch, marks: Windows) -> tuple[str, float]:
    """Return what the interval is of, the energy or without one the time, and its relative half-width."""
    energy = derive(sampler.trace(), marks).per_inference
    return ("energy", energy.relative) if energy else ("time", time_per_image(marks.groups).relative)


def _estimate(plan: Plan, busy_s: float, spent_s: float, groups: int, reached: float) -> Progress:
    """Guess the time left: the interval narrows with the root of the time."""
    pace = spent_s / busy_s
    needed_s = max(plan.min_s, _FEWEST_GROUPS * busy_s / groups) * pace
    if math.isfinite(reached):
        needed_s = max(needed_s, spent_s * (reached / plan.ci) ** 2)
    needed_s = min(needed_s, plan.max_s)
    return Progress("measuring", min(1.0, spent_s / needed_s), max(0.0, needed_s - spent_s))
