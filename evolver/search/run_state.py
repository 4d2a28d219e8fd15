"""Turn outcomes, in the order in which they came, into what is known of a run and what is to be done next.

Pure: the same births and outcomes give the same course, whether they come from workers or from an archive.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from ecosel.objectives import ACCURACY, METRICS
from evolver.jobs import Outcome, Task
from evolver.search.optimizer import Birth, Problem, Search, SearchSettings
from evolver.search.two_fronts import TwoFronts

Measure = Literal["all", "front", "none"]
ENERGY = "energy_per_inference_j"
MEASURED = tuple(column for column, metric in METRICS.items() if metric.is_measured)
# What the front of a run is taken of before anything is measured; FLOPs stand in for time and energy.
_KNOWN = ("parameters", "flops")
# Stops by rank: at these numbers of epochs (thirds, as in successive halving; Li et al. 2018), below the median of at least
# so many others (Golovin et al. 2017). The numbers are ours.
_RUNGS = (1, 3, 9)
_PEERS = 10
_COMPARED = 128  # with the last of them: a threshold rises as the search finds better ones


@dataclass
class RunState:
    """The state of a run."""

    problem: Problem[str]
    plan: SearchSettings
    measure: Measure = "front"
    stops: bool = True
    max_epochs: int = 1
    start: tuple[str, ...] = ()
    search: Search[str] = field(init=False)
    statuses: Counter[str] = field(default_factory=Counter)
    best: tuple[float, int] | None = None  # accuracy, birth
    waiting: dict[tuple[int, Task], None] = field(default_factory=dict)  # what is to be done, in order
    _births: dict[int, Birth[str]] = field(default_factory=dict)  # of those that still have something to do
    _layers: TwoFronts = field(default_factory=lambda: TwoFronts(1 + len(_KNOWN)))
    finals: dict[int, Outcome] = field(default_factory=dict)  # of the winners that were trained once more
    _broken: set[int] = field(default_factory=set)  # births that are known to break a limit
    _trained: dict[int, Outcome] = field(default_factory=dict)  # ok, and waiting to be measured before it is told
    _curves: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)  # of a rung: (accuracy, parameters)

    def __post_init__(self) -> None:
        if self.measure == "none" and self._tells_measured:
            raise ValueError("an objective or a limit is measured, but --measure is none; give --measure front or all")
        self.search = Search(self.problem, self.plan, self.start)

    @property
    def _tells_measured(self) -> bool:
        return not self.plan.columns.isdisjoint(MEASURED)

    @property
    def front(self) -> tuple[int, ...]:
        """Return the births on the front of accuracy, parameters and FLOPs, by falling accuracy; none that breaks a limit."""
        return tuple(birth for birth in self._layers.numbers(front_only=True) if birth not in self._broken)

    @property
    def near_front(self) -> tuple[int, ...]:
        """Return the births on that front and on the front of the rest, by falling accuracy."""
        return self._layers.numbers(front_only=False)

    def ask(self) -> Birth[str] | None:
        """Return the next birth, which then waits to be trained."""
        birth = self.search.ask()
        if birth is not None:
            self._noted(birth)
        return birth

    def replay(self, birth: Birth[str]) -> None:
        """Take note of a birth of an earlier part of the run."""
        self.search.replay(birth)
        self._noted(birth)

    def birth(self, number: int) -> Birth[str]:
        return self._births[number]

    def want(self, birth: Birth[str], task: Task) -> None:
        """Ask for more of a candidate than the search itself does."""
        self._births[birth.number] = birth
        self.waiting[birth.number, task] = None

    def tell(self, number: int, task: Task, outcome: Outcome) -> None:
        """Take note of an outcome, and tell the search what it is to know."""
        self.waiting.pop((number, task), None)
        if task == "train":
            self._heard_trained(number, outcome)
        elif task == "measure":
            trained = self._trained.pop(number, None)
            if self._breaks(_values(outcome)):
                self._broken.add(number)
            if trained is not None:
                self.search.tell(number, {**_values(trained), **_values(outcome)})
        else:
            self.finals[number] = outcome
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
                thresholds.append((rung, median(peers) if len(peers) >= _PEERS else 0.0))
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
        if self._breaks({**birth.known, **_values(outcome)}):
            self.search.tell(number, _values(outcome))  # no winner: neither on the front nor measured
            if self.measure == "all":
                self.waiting[number, "measure"] = None
            return
        if self.best is None or outcome.accuracy > self.best[0]:
            self.best = outcome.accuracy, number
        costs = self._costs(birth, outcome)
        if not self._tells_measured:
            self._layers.later(number, costs)
            self.search.tell(number, _values(outcome))
            measured = self.measure == "all"
        else:
            near = self._layers.add(number, costs)
            measured = near or self.measure == "all"
            if measured:
                self._trained[number] = outcome  # and told when it was measured
            else:
                self.search.tell(number, _values(outcome))
        if measured:
            self.waiting[number, "measure"] = None

    def _breaks(self, values: Mapping[str, float | None]) -> bool:
        return any(limit.violation(values.get(limit.column)) > 0 for limit in self.plan.limits)

    @staticmethod
    def _costs(birth: Birth[str], outcome: Outcome) -> tuple[float, ...]:
        values = {**{column: getattr(outcome, column) for column in _KNOWN}, **birth.known}
        known = tuple(float(values[column] or 0) for column in _KNOWN)
        return (ACCURACY.cost(outcome.accuracy or 0.0), *known)


def _values(outcome: Outcome) -> Mapping[str, float | None]:
    return {column: value for column in METRICS if (value := getattr(outcome, column, None)) is not None}
