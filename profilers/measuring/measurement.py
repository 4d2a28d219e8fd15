"""Warm up, repeat groups of batches, stop when the interval is narrow enough: a load and a sampler → marks on a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from profilers.energy.per_image import Span, Window, Windows, derive, time_per_image
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.measuring.groups import (
    FEWEST_GROUPS,
    Load,
    group_size,
    is_quiet,
    marks_of,
    pause,
    phases_of,
    run_group,
    shortest_group,
    with_groups,
)
from profilers.measuring.settings import Plan, Progress, Show
from profilers.measuring.warming_up import find_period, warm_up

_FEWEST_BLOCKS = 5
# Stopping at the first narrow interval prefers those that are narrow by chance.
_NARROW_LOOKS = 2
_PATIENCE = 3  # how much longer it is waited for enough groups that nobody disturbed
_SETTLED_S = 0.3  # of idleness that is needed to know the idle power


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
    """Repeat groups of batches until the interval of the energy, or without a meter of the time, is within `plan.ci`.

    Before each group the device idles until the sensor shows nothing of the group before, and on to the next of evenly spread
    phases of the sensor's update period, so that no rhythm of the load keeps in step with that of the sensor.
    """
    warm = warm_up(load, sampler, plan, show)
    base = marks_of(sampler, idle_cold=idle_cold, idle_warm=idle_warm, period_s=find_period(load, sampler))
    batches, phases = group_size(load, sampler, plan, base), phases_of(rng)
    rule = _StoppingRule(sampler, plan, base)
    pause(sampler, base, next(phases))
    while not rule.ended_by:
        group = run_group(load, sampler, batches)
        pause(sampler, base, next(phases))
        if group.duration_s < shortest_group(base):
            batches *= 2  # other work on the machine had slowed the load while its groups were sized
            continue
        rule.look(group)
        if not rule.ended_by:
            show(rule.progress())
    after_s = sampler.now()
    sampler.wait(base.sensor.lag_s + _SETTLED_S)
    idle_after = (after_s + base.sensor.lag_s, sampler.now()) if idle_warm else None
    return Measurement(with_groups(base, rule.groups, idle_after=idle_after), warm, rule.ended_by)


class _StoppingRule:
    """Ends a measurement where its interval is narrow enough, after the least time, or where the most time is over."""

    def __init__(self, sampler: Sampler | Stopwatch, plan: Plan, base: Windows) -> None:
        self._sampler, self._plan, self._base = sampler, plan, base
        self._start_s = sampler.now()
        self._block = 1 if base.counter else base.block
        self._narrow = 0
        self._reached = math.inf
        self.groups: list[Window] = []
        self.ended_by = ""

    def look(self, group: Window, /) -> None:
        """Add a group; `ended_by` says then why it was the last, or nothing."""
        self.groups.append(group)
        plan, count, spent_s = self._plan, len(self.groups), self._spent_s
        marks = with_groups(self._base, self.groups)
        what, self._reached = "energy", math.inf
        looked = count >= max(FEWEST_GROUPS, _FEWEST_BLOCKS * self._block) and count % self._block == 0
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
    """Return the quantity of the interval, the energy or without one the time, and its relative half-width."""
    energy = derive(sampler.trace(), marks).per_inference
    return ("energy", energy.relative) if energy else ("time", time_per_image(marks.groups).relative)


def _estimate(plan: Plan, busy_s: float, spent_s: float, groups: int, reached: float) -> Progress:
    """Guess the time left: the interval narrows with the root of the time."""
    pace = spent_s / busy_s
    needed_s = max(plan.min_s, FEWEST_GROUPS * busy_s / groups) * pace
    if math.isfinite(reached):
        needed_s = max(needed_s, spent_s * (reached / plan.ci) ** 2)
    needed_s = min(needed_s, plan.max_s)
    return Progress("measuring", min(1.0, spent_s / needed_s), max(0.0, needed_s - spent_s))
