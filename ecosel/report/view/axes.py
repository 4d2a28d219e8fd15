"""Say how an objective is drawn: title, unit of its ticks, range of interest, linear or logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecosel.objectives import ACCURACY, Objective

Values = NDArray[np.float64]
Range = tuple[float, float]

_TITLES = {
    "accuracy": "Accuracy",
    "inference_time_s": "Inference time",
    "parameters": "Parameters",
    "energy_per_inference_j": "Energy per inference",
}
_UNITS = {"inference_time_s": "s", "energy_per_inference_j": "J"}
_PREFIXES = {"": 1.0, "m": 1e3, "µ": 1e6, "n": 1e9}
# A logarithmic axis where the largest value in view is this many times the smallest.
_LOG_FROM = 30.0
_MARGIN = 0.06
# What is of interest is all, where all is at most this many times as wide.
_WIDER = 2.0
_LONGEST_TITLE = 44
_TINY, _HUGE = 1e-300, 1.7e308


@dataclass(frozen=True)
class Axis:
    """How the values of one objective are laid out."""

    objective: Objective
    title: str
    tick: str
    """Vega expression that writes a tick."""
    zoom: Range
    """Range of interest."""
    whole: Range
    """Range of all models."""
    log: bool
    may_be_log: bool

    def domain(self, *, zoom: bool, log: bool) -> Range:
        """Return the range that is drawn, with a margin so that no mark is cut by the frame."""
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


def axis(objective: Objective, /, *, values: Values, interest: Values, log: bool) -> Axis:
    """Lay out an objective; values [n] of all models, interest [m] of those that must be in view."""
    whole = (float(values.min()), float(values.max()))
    zoom = (float(interest.min()), float(interest.max()))
    if whole[1] / 2 - whole[0] / 2 <= _WIDER * (zoom[1] / 2 - zoom[0] / 2):
        zoom = whole
    may_be_log = log and whole[0] > 0
    title, tick = _title(objective, zoom)
    return Axis(objective, title, tick, zoom, whole, may_be_log and zoom[1] >= _LOG_FROM * zoom[0], may_be_log)


def shortened(text: str, /, most: int = _LONGEST_TITLE) -> str:
    """Cut a text that would push a drawing apart, and replace what is not printable."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def _title(objective: Objective, shown: Range) -> tuple[str, str]:
    name = objective.column
    if objective == ACCURACY:
        return ("Accuracy", "format(datum.value, '~%')") if shown[1] <= 1 else ("Accuracy (%)", "format(datum.value, '~g')")
    if name in _UNITS:
        largest = max(map(abs, shown)) or 1.0
        prefix = next((p for p, factor in _PREFIXES.items() if largest * factor >= 1), "n")
        return f"{_TITLES[name]} ({prefix}{_UNITS[name]})", f"format(datum.value * {_PREFIXES[prefix]:.0f}, ',~r')"
    better = "" if name in _TITLES else f" ({'higher' if objective.is_quality else 'lower'} is better)"
    tick = "replace(format(datum.value, '~s'), 'G', 'B')" if name == "parameters" else _tick(shown)
    return shortened(_TITLES.get(name, name), _LONGEST_TITLE - len(better)) + better, tick


def _tick(shown: Range) -> str:
    largest = max(map(abs, shown))
    if 1e-3 <= largest < 1e5 or not largest:
        return "format(datum.value, ',~r')"
    return "format(datum.value, '~s')" if 1e5 <= largest < 1e15 else "datum.value ? format(datum.value, '~e') : '0'"
