"""Run groups of batches between idle pauses: a load and a sampler → windows on a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from profilers.energy.per_image import PHASES, Span, Window, Windows
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.energy.sensor.known import sensor_of
from profilers.machine.processor import lost_share, processor_time
from profilers.measuring.settings import Plan

# A t interval over fewer groups stops too early too often: see test_the_interval_covers_the_true_value.
FEWEST_GROUPS = 10
_LONGEST_PAUSE_S = 0.1
_DISTURBED = 0.02  # of the processor time that a group wanted
_LEVEL_READINGS = 2.5  # in a pause, so that two of them tell the idle power whatever their phase


class Load(Protocol):
    """A model and its batches on a device."""

    @property
    def batches(self) -> int:
        """Return the number of batches in one pass over the evaluation set."""

    def ready(self, batches: int, /) -> int:
        """Prepare what the next run needs; return how many batches it may have, fewer where memory is short."""

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return how many images they held."""


def marks_of(
    sampler: Sampler | Stopwatch, /, *, idle_cold: Span | None, idle_warm: Span | None, period_s: float | None = None
) -> Windows:
    """Return the marks of a measurement that is yet to run; `period_s` is the update period that was found."""
    column, sensor = sensor_of(sampler.meter, period_s=period_s)
    can = sampler.meter.capabilities()
    pause_s = sensor.settled_s + _LEVEL_READINGS * sampler.interval_s if column else None
    base = Windows((), sampler.meter.name, column, can.energy, sensor, sampler.interval_s, idle_cold, idle_warm, pause_s=pause_s)
    return replace(base, gain_error=can.gain_error, offset_error_w=can.offset_error_w, calibration=sampler.calibration)


def group_size(load: Load, sampler: Sampler | Stopwatch, plan: Plan, marks: Windows, /) -> int:
    """Return how many batches last about `group_s`: whole passes where a pass is shorter."""
    begin_s = sampler.now()
    count = 1
    load.run(count)
    while (taken_s := sampler.now() - begin_s) < plan.group_s / 10:
        count *= 2
        begin_s = sampler.now()
        load.run(count)
    group_s = max(plan.group_s, shortest_group(marks))
    wanted = group_s * count / taken_s
    if wanted >= load.batches:
        return load.batches * max(1, round(wanted / load.batches))
    return max(1, round(wanted))


def shortest_group(marks: Windows) -> float:
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


def is_quiet(group: Window, /) -> bool:
    """Say whether a group had the processor to itself."""
    return group.lost is None or group.lost <= _DISTURBED


def with_groups(marks: Windows, groups: list[Window], *, idle_after: Span | None = None) -> Windows:
    """Add the groups to the marks: where enough of them had the processor to themselves, these alone count.

    Groups whose phases belong together are kept or left out together.
    """
    blocks = [groups[first : first + marks.block] for first in range(0, len(groups), marks.block)]
    quiet = [group for block in blocks if all(map(is_quiet, block)) for group in block]
    used = quiet if len(quiet) >= FEWEST_GROUPS else groups
    others = tuple(group for group in groups if group not in used)
    return replace(marks, groups=tuple(used), others=(*marks.others, *others), idle_after=idle_after)
