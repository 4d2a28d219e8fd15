"""Warm up, then repeat groups of batches until the interval is narrow enough; with --compile, before and after compiling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from profilers.energy.per_image import PHASES, Span, Window, Windows, derive, time_per_image
from profilers.energy.readings import sensor_of
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.errors import ModelError
from profilers.inference.protocol import Inference
from profilers.machine.processor import lost_share, processor_time
from profilers.measuring.device import ReservedDevice, find_period, rest, warm_up
from profilers.measuring.settings import Plan, Progress, Show
from profilers.results.building import Compilation

_FEWEST_BLOCKS = 5
# Stopping at the first narrow interval would favour intervals that are narrow by chance.
_NARROW_LOOKS = 2
_PATIENCE = 3  # factor by which the time is extended to get enough undisturbed groups
_SETTLED_S = 0.3  # idleness needed to determine the idle power
# With a t interval over fewer groups, measuring stops too early too often: test_the_interval_covers_the_true_value.
_FEWEST_GROUPS = 10
_LONGEST_PAUSE_S = 0.1
_DISTURBED = 0.02  # share of the processor time that a group needed
_LEVEL_READINGS = 2.5  # readings in a pause, so that at least two show the idle power whatever their phase


class Load(Protocol):
    """A model and its batches on a device."""

    @property
    def batches(self) -> int:
        """Return the number of batches in one pass over the evaluation set."""

    def ready(self, batches: int, /) -> int:
        """Prepare the next run; return the number of batches it may have, fewer if memory is short."""

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return the number of images in them."""


@dataclass(frozen=True)
class Measurement:
    """The marks of a measurement, and the rules that ended its phases."""

    marks: Windows
    warm_up: str
    ended_by: str


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
    """Repeat groups of batches until the interval of the energy, or of the time without a meter, is within `plan.ci`.

    Before each group, the device idles until the sensor no longer shows the previous group, then until the next of evenly spaced
    phases of the sensor's update period, so that the rhythm of the load cannot keep in step with that of the sensor.
    """
    warm = warm_up(load.run, sampler, plan, show)
    base = marks_of(sampler, idle_cold=idle_cold, idle_warm=idle_warm, period_s=find_period(load.run, sampler))
    batches, phases = group_size(load, sampler, plan, base), phases_of(rng)
    rule = _StoppingRule(sampler, plan, base)
    pause(sampler, base, next(phases))
    while not rule.ended_by:
        group = run_group(load, sampler, batches)
        pause(sampler, base, next(phases))
        if group.duration_s < _shortest_group(base):
            batches *= 2  # other work on the machine slowed the load while the size of groups was determined
            continue
        rule.look(group)
        if not rule.ended_by:
            show(rule.progress())
    after_s = sampler.now()
    sampler.wait(base.sensor.lag_s + _SETTLED_S)
    idle_after = (after_s + base.sensor.lag_s, sampler.now()) if idle_warm else None
    return Measurement(_with_groups(base, rule.groups, idle_after=idle_after), warm, rule.ended_by)


class _StoppingRule:
    """Ends a measurement when its interval is narrow enough after the minimum time, or when the maximum time is over."""

    def __init__(self, sampler: Sampler | Stopwatch, plan: Plan, base: Windows) -> None:
        self._sampler, self._plan, self._base = sampler, plan, base
        self._start_s = sampler.now()
        self._block = 1 if base.counter else base.block
        self._narrow = 0
        self._reached = math.inf
        self.groups: list[Window] = []
        self.ended_by = ""

    def look(self, group: Window, /) -> None:
        """Add a group; then `ended_by` states why it was the last, or is empty."""
        self.groups.append(group)
        plan, count, spent_s = self._plan, len(self.groups), self._spent_s
        marks = _with_groups(self._base, self.groups)
        what, self._reached = "energy", math.inf
        looked = count >= max(_FEWEST_GROUPS, _FEWEST_BLOCKS * self._block) and count % self._block == 0
        if looked or spent_s >= plan.max_s:
            what, self._reached = _relative(self._sampler, marks)
            self._narrow = self._narrow + 1 if self._reached <= plan.ci else 0
        disturbed = len(marks.groups) == count and not all(map(is_quiet, self.groups))
        if self._busy_s >= plan.min_s * (_PATIENCE if disturbed else 1) and self._narrow >= _NARROW_LOOKS:
            self.ended_by = f"the 95 % interval of the {what} is within {plan.ci:.2%} ({self._reached:.2%})"
        elif spent_s >= plan.max_s:
            told = f"at {self._reached:.2%}, not {plan.ci:.2%}" if math.isfinite(self._reached) else "unknown"
            self.ended_by = f"{plan.max_s:g} s passed with the 95 % interval of the {what} {told}"

    def progress(self) -> Progress:
        return _estimate(self._plan, self._busy_s, self._spent_s, len(self.groups), self._reached)

    @property
    def _busy_s(self) -> float:
        return sum(group.duration_s for group in self.groups)

    @property
    def _spent_s(self) -> float:
        return self._sampler.now() - self._start_s


def _relative(sampler: Sampler | Stopwatch, marks: Windows) -> tuple[str, float]:
    """Return the quantity of the interval (the energy, or else the time) and its relative half-width."""
    energy = derive(sampler.trace(), marks).per_inference
    return ("energy", energy.relative) if energy else ("time", time_per_image(marks.groups).relative)


def _estimate(plan: Plan, busy_s: float, spent_s: float, groups: int, reached: float) -> Progress:
    """Estimate the time left: the interval narrows with the square root of time."""
    pace = spent_s / busy_s
    needed_s = max(plan.min_s, _FEWEST_GROUPS * busy_s / groups) * pace
    if math.isfinite(reached):
        needed_s = max(needed_s, spent_s * (reached / plan.ci) ** 2)
    needed_s = min(needed_s, plan.max_s)
    return Progress("measuring", min(1.0, spent_s / needed_s), max(0.0, needed_s - spent_s))


def marks_of(
    sampler: Sampler | Stopwatch, /, *, idle_cold: Span | None, idle_warm: Span | None, period_s: float | None = None
) -> Windows:
    """Return the initial marks of a measurement; `period_s` is the update period found."""
    column, sensor = sensor_of(sampler.meter, period_s=period_s)
    can = sampler.meter.capabilities()
    pause_s = sensor.settled_s + _LEVEL_READINGS * sampler.interval_s if column and sensor.lag_s else None
    base = Windows((), sampler.meter.name, column, can.energy, sensor, sampler.interval_s, idle_cold, idle_warm, pause_s=pause_s)
    return replace(base, gain_error=can.gain_error, offset_error_w=can.offset_error_w, calibration=sampler.calibration)


def group_size(load: Load, sampler: Sampler | Stopwatch, plan: Plan, marks: Windows, /) -> int:
    """Return how many batches last about `group_s`: whole passes if a pass is shorter."""
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
    """Return a duration that contains several readings with their whole averaging windows."""
    return marks.sensor.clean_s + 5 * marks.interval_s if marks.sensor.lag_s else 0.0


def run_group(load: Load, sampler: Sampler | Stopwatch, batches: int, /) -> Window:
    """Run some batches, with a reading of the meter at each end."""
    batches = load.ready(batches)
    before = processor_time()
    sampler.read()
    start_s = sampler.now()
    images = load.run(batches)
    end_s = sampler.now()
    sampler.read()
    return Window(start_s, end_s, images, lost_share(before, processor_time()))


def phases_of(rng: np.random.Generator, /) -> Iterator[float]:
    """Yield phases as parts of a period: evenly spaced in each block of groups, from a phase drawn anew."""
    while True:
        first = float(rng.uniform())
        yield from (first + 2 * number / PHASES for number in range(PHASES))


def pause(sampler: Sampler | Stopwatch, marks: Windows, phase: float, /) -> None:
    """Wait for the counter's tick after a load, for visible idleness, for the phase, and for the tick before the next load."""
    end_s = sampler.now()
    if marks.counter:
        sampler.await_tick()
    sampler.wait((marks.pause_s or 0.0) - (sampler.now() - end_s))
    period_s = marks.sensor.update_period_s or _LONGEST_PAUSE_S
    sampler.wait((phase * period_s - sampler.now()) % period_s)
    if marks.counter:
        sampler.await_tick()


def is_quiet(group: Window, /) -> bool:
    """Tell whether a group had the processor to itself."""
    return group.lost is None or group.lost <= _DISTURBED


def _with_groups(marks: Windows, groups: list[Window], *, idle_after: Span | None = None) -> Windows:
    """Add the groups to the marks; if enough of them had the processor to themselves, only these count.

    Groups in one block of phases are kept or left out together.
    """
    blocks = [groups[first : first + marks.block] for first in range(0, len(groups), marks.block)]
    quiet = [group for block in blocks if all(map(is_quiet, block)) for group in block]
    used = dict.fromkeys(quiet if len(quiet) >= _FEWEST_GROUPS else groups)
    others = tuple(group for group in groups if group not in used)
    return replace(marks, groups=tuple(used), others=(*marks.others, *others), idle_after=idle_after)


class NotCompiled(ModelError):  # noqa: N818
    """A model, measured as it is, cannot be compiled."""

    def __init__(self, reason: str, eager: Measurement) -> None:
        super().__init__(reason)
        self.eager = eager


def measure_inference(
    inference: Inference, device: ReservedDevice, plan: Plan, /, *, seed: int, show: Show, compiled: bool = False
) -> tuple[Measurement, Compilation | None]:
    """Measure a model and, if requested, measure it again compiled. Raises NotCompiled if it cannot be compiled."""
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
    """Compile the model by its first calls, one for every batch size, and mark the time that this takes."""
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
