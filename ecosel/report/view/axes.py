"""Decide how an objective is drawn: title, unit of its ticks, range of interest, linear or logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecosel.objectives import Objective
from ecosel.output.characters import shortened
from ecosel.output.measures import Measure

Values = NDArray[np.float64]
Range = tuple[float, float]

# An axis is logarithmic if the largest value in view is this many times the smallest.
_LOG_FROM = 30.0
_MARGIN = 0.06
# The range of interest is that of all models if that is at most this many times as wide.
_WIDER = 2.0
_LONGEST_TITLE = 44
_TINY, _HUGE = 1e-300, 1.7e308


@dataclass(frozen=True)
class Axis:
    """The layout of the values of one objective."""

    objective: Objective
    title: str
    tick: str
    """Vega expression for the label of a tick."""
    zoom: Range
    """Range of interest."""
    whole: Range
    """Range of all models."""
    log: bool
    may_be_log: bool

    def domain(self, *, zoom: bool, log: bool) -> Range:
        """Return the range to draw, with a margin so that the frame cuts no mark."""
        low, high = self.zoom if zoom else self.whole
        if log:
            margin = _MARGIN * (math.log(high) - math.log(low) or 1.0)
            return max(low * math.exp(-margin), min(low, _TINY)), min(high * math.exp(margin), _HUGE)
        margin = _MARGIN * (high / 2 - low / 2 or abs(high) / 2 or 0.5) * 2
        below = max(low - margin, -_HUGE)
        return (max(below, 0.0) if low >= 0 and below < 0 else below), min(high + margin, _HUGE)

    def ticks(self, *, zoom: bool, log: bool) -> list[float] | None:
        """Return round values for a logarithmic axis; None leaves the choice to Vega."""
        if not log:
            return None
        low, high = self.domain(zoom=zoom, log=True)
        decades = math.log10(high) - math.log10(low)
        steps = (1, 2, 5) if decades < 1.6 else (1, 3) if decades < 3 else (1,)
        every = 1 if decades < 7 else math.ceil(decades / 6)
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [
            step * 10.0**power for power in powers if power % every == 0 for step in steps if low <= step * 10.0**power <= high
        ]


def axis(part: Measure, /, *, values: Values, interest: Values, log: bool) -> Axis:
    """Lay out the objective of a measure, given the values [n] of all models and interest [m] of those that must be in view."""
    whole = (float(values.min()), float(values.max()))
    zoom = (float(interest.min()), float(interest.max()))
    if whole[1] / 2 - whole[0] / 2 <= _WIDER * (zoom[1] / 2 - zoom[0] / 2):
        zoom = whole
    may_be_log = log and whole[0] > 0
    title, tick = _title(part, zoom)
    return Axis(part.objective, title, tick, zoom, whole, may_be_log and zoom[1] >= _LOG_FROM * zoom[0], may_be_log)


def _title(part: Measure, shown: Range) -> tuple[str, str]:
    better = "" if part.metric else f" ({'higher' if part.objective.is_quality else 'lower'} is better)"
    title = shortened(part.title, _LONGEST_TITLE - len(better)) + better
    if part.objective.column == "parameters":
        return title, "replace(format(datum.value, '~s'), 'G', 'B')"
    return title, f"format(datum.value * {part.factor:g}, ',~r')" if part.unit else _tick(shown)


def _tick(shown: Range) -> str:
    largest = max(map(abs, shown))
    if 1e-3 <= largest < 1e5 or not largest:
        return "format(datum.value, ',~r')"
    return "format(datum.value, '~s')" if 1e5 <= largest < 1e15 else "datum.value ? format(datum.value, '~e') : '0'"
