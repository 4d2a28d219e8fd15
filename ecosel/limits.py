"""Turn "accuracy >= 0.9" and "1%" into limits that a model must meet to be chosen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ecosel.objectives import Sense

Relation = Literal["<=", ">=", "<", ">"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_UNIT = r"[A-Za-zµμ][A-Za-zµμ/]*"
_FORM = "write COLUMN <= VALUE or COLUMN >= VALUE"
_READS: dict[str, Relation] = {"<=": "<=", "≤": "<=", ">=": ">=", "≥": ">=", "<": "<", ">": ">"}
_TURNED: dict[Relation, Relation] = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
# violation assigned to a value that equals a strict limit
_AT_LIMIT = 1e-12


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest or smallest value allowed in a column."""

    column: str
    value: float
    relation: Relation = "<="
    unit: str = ""
    """The unit of the value, if it is not that of the column."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"the limit of {self.column} is {self.value}; it must be a finite number")
        if self.relation not in _TURNED:
            raise ValueError(f"the limit of {self.column} is {self.relation!r}; it must be one of {', '.join(_TURNED)}")

    @property
    def text(self) -> str:
        return f"{self.column} {self.relation} {self.value:.15g}{' ' if self.unit else ''}{self.unit}"

    @property
    def is_floor(self) -> bool:
        return self.relation in (">=", ">")

    def violation(self, value: float | None) -> float:
        """Return by how much a value violates the limit, relative to it; 0 if it meets it or is unknown."""
        if value is None:
            return 0.0
        over = self.value - value if self.is_floor else value - self.value
        if over == 0.0 and self.relation in ("<", ">"):
            return _AT_LIMIT
        return max(0.0, over) / (abs(self.value) or 1.0)


def parse_limit(text: str, /, *, column: Callable[[str], str], sense: Callable[[str], Sense | None]) -> Limit:
    """Return the limit that a text states: `ms <= 20`, `0.9 <= accuracy`, `parameters=1e6`.

    column returns the full name of a column or raises ValueError; sense returns which end is better, if known. With `=`,
    the value is the largest of a cost or the smallest of a quality. A percent sign divides by 100, as in cells.
    """
    found = re.fullmatch(rf"\s*(.*[^\s<>=])\s*(<=|>=|≤|≥|(?<![<>])=|<|>)\s*({_NUMBER})\s*(%|{_UNIT})?\s*", text)
    turned = None if found else re.fullmatch(rf"\s*({_NUMBER})\s*(%|{_UNIT})?\s*(<=|>=|≤|≥|<|>)\s*(\S.*?)\s*", text)
    if found:
        name, sign, number, unit = found.groups()
    elif turned:
        number, unit, sign, name = turned.groups()
    else:
        raise ValueError(f"--limit {text!r}: {_FORM}")
    name = column(_unquoted(name))
    if sign == "=":
        better = sense(name)
        if better is None:
            raise ValueError(
                f"--limit {text!r}: {name!r} is not an objective, so = sets neither a maximum nor a minimum; {_FORM}"
            )
        relation: Relation = "<=" if better == "min" else ">="
    else:
        relation = _READS[sign] if found else _TURNED[_READS[sign]]
    if unit == "%":
        return Limit(name, float(number) / 100, relation)
    return Limit(name, float(number), relation, unit or "")


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'`" else name


@dataclass(frozen=True, slots=True)
class Within:
    """How far below the best quality a model may stay: a part of the best, or points."""

    amount: float
    is_part: bool

    def __post_init__(self) -> None:
        if not 0 <= self.amount < math.inf:
            raise ValueError(f"within is {self.amount}; it must be a finite number that is not negative")

    @property
    def text(self) -> str:
        return f"{100 * self.amount:.6g} %" if self.is_part else f"{self.amount:.6g} points"

    def least(self, best: float, /, *, point: float) -> float:
        """Return the lowest quality that is near enough to the best; point is the size of one point of the quality."""
        return best - (abs(best) * self.amount if self.is_part else self.amount * point)


def parse_within(text: str, /) -> Within:
    """Read `1%`, `0.5` or `0.5 points` as a distance from the best quality."""
    found = re.fullmatch(rf"\s*({_NUMBER})\s*(%|points?|pp)?\s*", text)
    if found is None:
        raise ValueError(f"--within {text!r}: write 1% (of the best quality) or 0.5 (points)")
    amount = float(found[1])
    return Within(amount / 100, True) if found[2] == "%" else Within(amount, False)
