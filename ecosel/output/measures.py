"""Put the values of an objective, and the difference between two of them, into words: titles, units, gains and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

import polars as pl

from ecosel.choosing.choice import Chosen
from ecosel.objectives import ACCURACY, METRICS, Metric, Objective
from ecosel.output.characters import shortened

_PREFIXES = {"": 1.0, "m": 1e3, "µ": 1e6, "n": 1e9}
_OF_BYTES = {"G": 1e-9, "M": 1e-6, "k": 1e-3, "": 1.0}
_DIGITS, _FOREIGN_DIGITS = 3, 5
# A cost more than this many times another is written as a multiple, not as a percentage.
_MULTIPLE = 2.0


@dataclass(frozen=True)
class Measure:
    """The format of the values of one objective."""

    objective: Objective
    metric: Metric | None
    """None for a column that ecosel does not know."""
    unit: str
    factor: float
    """Multiply a value by this to get it in the unit."""
    is_signed: bool
    """Some value is below 0, so that ratios are meaningless."""

    @property
    def name(self) -> str:
        return self.metric.name if self.metric else shortened(self.objective.column, 80)

    @property
    def title(self) -> str:
        """The name with its unit, as the heading of a column or the title of an axis."""
        name = f"{self.name[0].upper()}{self.name[1:]}" if self.metric else self.name
        return f"{name} ({self.unit})" if self.unit else name

    def text(self, value: float, /) -> str:
        """Return a value with its unit: `94.3 %`, `0.332 ms`, `1,810`."""
        written = rounded(value * self.factor, _DIGITS if self.metric else _FOREIGN_DIGITS, short=bool(self.metric))
        return f"{written}\u00a0{self.unit}" if self.unit else written

    def phrase(self, value: float, /) -> str:
        """Return a value with its unit and name: `94.3 % accuracy`, `param_count 5.3`."""
        return f"{self.text(value)} {self.name}" if self.metric else f"{self.name} {self.text(value)}"

    @property
    def best_word(self) -> str:
        if self.objective == ACCURACY:
            return "most accurate"
        return f"{'highest' if self.objective.is_quality else 'lowest'} in {self.name}"

    def change(self, value: float, of: float, /) -> str:
        """Describe how value differs from another: `3.9 points less accuracy`, `2.1 times the parameters`; else ""."""
        if value == of:
            return ""
        known = self.metric is not None
        if self.objective == ACCURACY:
            points = self._points(value, of)
            return f"{points} {'less' if value < of else 'more'} accuracy"
        if self.is_signed or of <= 0 or value < 0:
            return f"{self.phrase(value)} instead of {self.text(of)}"
        ratio = value / of
        if ratio >= _MULTIPLE:
            return (
                f"{rounded(ratio, 2)} times the {self.name}"
                if ratio < 1e15
                else f"{self.phrase(value)} instead of {self.text(of)}"
            )
        if ratio < 1:
            less = (self.metric.less if self.metric else "") if known else "lower"
            return f"{percentage(1 - ratio)} {less} {self.name}"
        return f"{percentage(ratio - 1)} {'more' if known else 'higher'} {self.name}"

    def _points(self, value: float, of: float) -> str:
        points = abs(value - of) * self.factor
        written = rounded(points, 3 if points >= 10 else 2)
        return f"{written} point{'' if written == '1' else 's'}"

    def difference(self, value: float, of: float, /) -> str:
        """Write how value differs from another in few characters: `−3.9 points`, `−77 %`, `× 2.1`; empty if it does not."""
        if value == of:
            return ""
        sign = "−" if value < of else "+"
        if self.objective == ACCURACY:
            return f"{sign}{self._points(value, of)}"
        if self.is_signed or of <= 0 or value < 0 or value / 1e15 > of:
            return f"{sign}{self.text(abs(value - of))}"
        if value / of >= _MULTIPLE:
            return f"× {rounded(value / of, 2)}"
        part = percentage(abs(value / of - 1))
        return f"{part} {'less' if value < of else 'more'}" if part[0] in "<>" else f"{sign}{part}"


def measures(selection: Chosen, /) -> dict[str, Measure]:
    """Return the format of the values of each column, with one unit for all models of an objective."""
    return {
        objective.column: measure(objective, selection.models[objective.column], selection.units.get(objective.column, ""))
        for objective in selection.objectives
    }


def measure(objective: Objective, values: pl.Series, unit: str = "", /) -> Measure:
    low, high = (float(end) for end in (values.min(), values.max()))  # type: ignore[arg-type]
    metric = METRICS.get(objective.column)
    if metric is not None and metric.objective != objective:  # the user reversed its direction
        metric = None
    if objective == ACCURACY:
        return Measure(objective, metric, "%", 100.0 if high <= 1 else 1.0, low < 0)
    if metric is None or not metric.unit:
        return Measure(objective, metric, unit, 1.0, low < 0)
    middle = abs(float(values.cast(pl.Float64).median() or 0.0)) or max(abs(low), abs(high)) or 1.0  # type: ignore[arg-type]
    prefixes, least = (_OF_BYTES, 1.0) if metric.unit == "B" else (_PREFIXES, 0.1)
    prefix = next((p for p, factor in prefixes.items() if middle * factor >= least), list(prefixes)[-1])
    return Measure(objective, metric, f"{prefix}{metric.unit}", prefixes[prefix], low < 0)


def rounded(value: float, digits: int, /, *, short: bool = False) -> str:
    """Write a number with that many digits, halves rounded away from zero; large ones in full or, if short, with M, B or T."""
    if not math.isfinite(value):
        return str(value)
    number = Decimal(value)
    if number == number.to_integral_value() and abs(number) < 1_000_000:
        return f"{int(number):,}"
    tail = ""
    if short and abs(value) >= 1e6:
        tail, size = next((word, size) for word, size in (("T", 12), ("B", 9), ("M", 6)) if abs(value) >= 10**size)
        number = number.scaleb(-size)
    cut = Context(prec=digits, rounding=ROUND_HALF_UP).plus(number)
    if cut and not -6 <= cut.adjusted() < 15:
        mantissa, _, power = f"{cut.normalize():e}".partition("e")
        return f"{mantissa}e{int(power)}"
    written = f"{cut:,f}"
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return f"{written}\u00a0{tail}" if tail else written


def percentage(part: float, /) -> str:
    """Write a difference as a percentage with two digits, or three near 100, but never as 0 or 100."""
    percent = 100 * part
    if percent < 0.1:
        return "<0.1\u00a0%"
    if 99.9 < percent < 100:
        return ">99.9\u00a0%"
    return f"{rounded(percent, 3 if 99 <= percent < 100 else 2)}\u00a0%"


def trade(parts: Sequence[Measure], value: Sequence[float], of: Sequence[float], reference: int, /) -> str:
    """Describe a model's gains and losses against another, the reference objective first, other losses last.

    "11.1 points less accuracy, 13 % less inference time, 71 % less energy per inference, but 26 % more parameters"
    """
    gains: list[str] = []
    losses: list[str] = []
    first: list[str] = []
    for k in [reference, *(k for k in range(len(parts)) if k != reference)]:
        words = parts[k].change(value[k], of[k])
        if words:
            is_better = value[k] > of[k] if parts[k].objective.is_quality else value[k] < of[k]
            (gains if is_better else first if k == reference else losses).append(words)
    if gains or not losses:
        return ", ".join([*first, *gains]) + (f", but {joined(losses)}" if losses else "")
    return joined([*first, *losses])


def joined(words: Sequence[str], /) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1] if words else ""
