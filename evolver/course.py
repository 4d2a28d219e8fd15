"""Turn outcomes, in the order in which they came, into what is known of a run and what is to be done next.

Pure: the same births and outcomes give the same course, whether they come from workers or from an archive.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ecosel.dominance import nondominated_rows
from ecosel.objectives import ACCURACY
from evolver.records import Outcome, Task
from evolver.search import Birth, Plan, Problem, Search

Measure = Literal["all", "front", "none"]
MEASURED = ("inference_time_s", "energy_per_inference_j")
# What the front of a run is taken of before anything is measured; FLOPs stand in for time and energy.
_KNOWN = ("parameters", "flops")
# Stops by rank: at these numbers of epochs (thirds, as in successive halving; Li et al. 2018), below the median of at least
# so many others (Golovin et al. 2017). The numbers are ours.
_RUNGS = (1, 3, 9)
_PEERS = 10
_COMPARED = 256  # with the last of them: a threshold rises as the search finds better ones


@dataclass(frozen=True, slots=True)
class _Result:
    birth: int
    costs: tuple[float, ...]  # 1 - accuracy, then _KNOWN


@dataclass
class Course:
    """The state of a run."""

    problem: Problem[str]
    plan: Plan
    measure: Measure = "front"
    stops: bool = True
    max_epochs: int = 1
    start: tuple[str, ...] = ()
    search: Search[str] = field(init=False)
    statuses: Counter[str] = field(default_factory=Counter)
    best: tuple[float, int] | None = None  # accuracy, birth
    waiting: dict[tuple[int, Task], None] = field(default_factory=dict)  # what is to be done, in order
    _births: dict[int, Birth[str]] = field(default_factory=dict)  # of those that still have something to do
    _first: list[_Result] = field(default_factory=list)  # the front of accuracy, parameters and FLOPs
    _second: list[_Result] = field(default_factory=list)  # the front of the rest
    _trained: dict[int, Outcome] = field(default_factory=dict)  # ok, and waiting to be measured before it is told
    _curves: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)  # of a rung: (accuracy, parameters)

    def __post_init__(self) -> None:
        if self.measure == "none" and self._tells_measured:
            raise ValueError("an objective is measured, but --measure is none; give --measure front or all")
        self.search = Search(self.problem, self.plan, self.start)

    @property
    def _tells_measured(self) -> bool:
        return any(objective.column in MEASURED for objective in self.plan.objectives)

    @property
    def front(self) -> tuple[int, ...]:
        """Return the births on the front of accuracy, parameters and FLOPs, by falling accuracy."""
        return tuple(result.birth for result in sorted(self._first, key=lambda result: result.costs))

    @property
    def near_front(self) -> tuple[int, ...]:
        """Return the births on that front and on the front of the rest, by falling accuracy."""
        return tuple(result.birth for result in sorted((*self._first, *self._second), key=lambda result: result.costs))

    def ask(self) -> Birth[str] | None:
        """Return the next birth, which then waits to be trained."""
        birth = self.search.ask()
        if birth is not None:
            self._noted(birth)
        return birth

    def born(self, birth: Birth[str]) -> None:
        """Take note of a birth of an earlier part of the run."""
        self.search.born(birth)
        self._noted(birth)

    def birth(self, number: int) -> Birth[str]:
        return self._births[number]

    def want(self, birth: Birth[str], task: Task) -> None:
        """Ask for more of a candidate than the search itself does."""
        self._births[birth.number] = birth
        self.waiting[birth.number, task] = None

    def heard(self, number: int, task: Task, outcome: Outcome) -> None:
        """Take note of an outcome, and tell the search what it is to know."""
        self.waiting.pop((number, task), None)
        if task == "train":
            self._heard_trained(number, outcome)
        elif task == "measure":
            trained = self._trained.pop(number, None)
            if trained is not None:
                self.search.tell(number, {**_values(trained), **_values(outcome)})
        if not any((number, other) in self.waiting for other in ("train", "measure", "final")):
            self._births.pop(number, None)

    def rungs(self, birth: Birth[str]) -> tuple[tuple[int, float], ...]:
        """Return at which epochs a candidate is looked at, and below which accuracy it is stopped there.

        It is compared only with those that have no more parameters: a small one may be right to be slow.
        """
        if not self.stops:
            return ()
        own = birth.known.get("parameters", float("inf"))
        thresholds = []
        for rung in _RUNGS:
            if rung < self.max_epochs:
                peers = [accuracy for accuracy, parameters in self._curves.get(rung, ()) if parameters <= own]
                thresholds.append((rung, float(np.median(peers)) if len(peers) >= _PEERS else 0.0))
        return tuple(thresholds)

    def _noted(self, birth: Birth[str]) -> None:
        self._births[birth.number] = birth
        self.waiting[birth.number, "train"] = None

    def _heard_trained(self, number: int, outcome: Outcome) -> None:
        birth = self._births[number]
        self.statuses[outcome.status] += 1
        parameters = birth.known.get("parameters", outcome.parameters or 0)
        for epoch, accuracy in outcome.curve:
            self._curves.setdefault(epoch, deque(maxlen=_COMPARED)).append((accuracy, parameters))
        if outcome.status != "ok" or outcome.accuracy is None:
            self.search.tell(number, None)
            return
        if self.best is None or outcome.accuracy > self.best[0]:
            self.best = outcome.accuracy, number
        near = self._came_near(birth, outcome)
        if self.measure == "all" or (self._tells_measured and near):
            self.waiting[number, "measure"] = None
        if self._tells_measured and (number, "measure") in self.waiting:
            self._trained[number] = outcome
        else:
            self.search.tell(number, _values(outcome))

    def _came_near(self, birth: Birth[str], outcome: Outcome) -> bool:
        """Keep those on the front and on the front of the rest; say whether this one is among them."""
        values = {**{column: getattr(outcome, column) for column in _KNOWN}, **birth.known}
        known = tuple(float(values[column] or 0) for column in _KNOWN)
        new = _Result(birth.number, (ACCURACY.cost(outcome.accuracy or 0.0), *known))
        if any(_dominates(other.costs, new.costs) for other in self._second):
            return False  # and so by one of the front, too: most candidates end here
        near = [*self._first, *self._second, new]
        front = set(_front_of(near))
        rest = [near[k] for k in range(len(near)) if k not in front]
        self._first = [near[k] for k in sorted(front)]
        self._second = [rest[k] for k in _front_of(rest)]
        return new in self._first or new in self._second


def _front_of(results: list[_Result]) -> list[int]:
    if not results:
        return []
    columns = np.array([result.costs for result in results]).T
    rows: list[int] = nondominated_rows([np.ascontiguousarray(column) for column in columns]).tolist()
    return rows


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _values(outcome: Outcome) -> Mapping[str, float | None]:
    columns = ("accuracy", "parameters", "flops", "train_time_s", *MEASURED)
    return {column: getattr(outcome, column) for column in columns if getattr(outcome, column) is not None}
