"""The question of a selection: objectives, groups, rule and requirements, checked against the columns of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ecosel.choosing.requirements import Requirements
from ecosel.choosing.scoring import Rule
from ecosel.limits import Limit, Within, parse_limit, parse_within
from ecosel.objectives import CANONICAL, Objective, Sense

Pick = Literal["distance", "knee"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question. Without objectives, the canonical ones that have values are used."""

    objectives: tuple[Objective, ...]
    labels: tuple[str, ...]
    by: tuple[str, ...]
    mean_over: tuple[str, ...]
    rule: Rule
    requirements: Requirements
    pick: Pick
    top: int
    joint: bool
    pairs: bool
    seed: int

    @property
    def limited(self) -> list[str]:
        return [limit.column for limit in self.requirements.limits]

    def check(self, names: Sequence[str], /) -> None:
        """Raise ValueError if a column is not in names, or a number or choice is invalid."""
        columns = [objective.column for objective in self.objectives]
        for column in [*columns, *self.labels, *self.by, *self.mean_over]:
            _known(column, names)
        twice = [column for column in columns if columns.count(column) > 1]
        if twice:
            raise ValueError(f"objective {twice[0]!r} is named twice")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be at least 0")
        if self.top < 1:
            raise ValueError(f"top is {self.top}; it must be at least 1")
        if not (self.joint or self.pairs):
            raise ValueError("neither the joint selection nor the pairs are wanted; there is nothing to choose")
        if self.pick not in ("distance", "knee") or (self.pick == "knee" and self.requirements.within is not None):
            raise ValueError(f"pick is {self.pick!r}; it must be 'distance' or 'knee', and without within")


def objectives_of(given: Mapping[str, Sense] | Sequence[Objective] | None, /) -> tuple[Objective, ...]:
    """Return the objectives of `{"acc": "max"}` or of a sequence of them."""
    if given is None:
        return ()
    named = [Objective(column, sense) for column, sense in given.items()] if isinstance(given, Mapping) else given
    chosen = tuple(named)
    if isinstance(given, str) or not all(isinstance(objective, Objective) for objective in chosen):
        raise ValueError(f"objectives {given!r}: say of each column which end is better, as in {{'acc': 'max', 'ms': 'min'}}")
    if not chosen:
        raise ValueError("no objective is named")
    return chosen


def requirements_of(
    names: Sequence[str],
    objectives: Sequence[Objective],
    limits: Sequence[str | Limit],
    within: str | Within | None,
    /,
) -> Requirements:
    """Read limits of the columns names, and how near to the best quality a model must be."""
    senses = {objective.column: objective.sense for objective in objectives or CANONICAL}

    def column(name: str) -> str:
        return _known(name, names)

    read = [limit if isinstance(limit, Limit) else parse_limit(limit, column=column, sense=senses.get) for limit in limits]
    ends = [(column(limit.column), limit.is_floor) for limit in read]
    for limit, end in zip(read, ends, strict=True):
        if ends.count(end) > 1:
            both = " and ".join(other.text for other, its in zip(read, ends, strict=True) if its == end)
            raise ValueError(f"a limit of {limit.column} is given twice: {both}")
    return Requirements(tuple(read), parse_within(within) if isinstance(within, str) else within)


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"no column {name!r}; the columns are {', '.join(map(repr, names))}")
    return name
