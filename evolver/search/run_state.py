"""Hold the state of a search: replay outcomes in order, and decide what to run next.

It is pure: the same births and outcomes give the same state, whether they come from workers or from an archive.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Literal, get_args

from ecosel.objectives import ACCURACY, METRICS
from evolver.jobs import AGAIN, Outcome, Reestimate, Task
from evolver.search.optimizer import Birth, Problem, Search, SearchSettings
from evolver.search.two_fronts import TwoFronts

Measure = Literal["all", "front", "none"]
MEASURED = tuple(column for column, metric in METRICS.items() if metric.is_measured)
# The objectives of a run's front before anything is measured; FLOPs stand in for time and energy.
_KNOWN = ("parameters", "flops")
# Stops by rank: at these numbers of epochs (thirds, as in successive halving; Li et al. 2018), below the median of at least
# this many others (Golovin et al. 2017). We chose the numbers.
_RUNGS = (1, 3, 9)
_PEERS = 10
_COMPARED = 128  # compared with the last of them, as a threshold rises while the search finds better ones


# Student's t, 97.5 %, for 1 to 4 degrees of freedom
_T = (12.706, 4.303, 3.182, 2.776)


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
    waiting: dict[tuple[int, Task], None] = field(default_factory=dict)  # the jobs to do, in order
    _births: dict[int, Birth[str]] = field(default_factory=dict)  # of candidates that still have something to do
    _fronts: TwoFronts = field(default_factory=TwoFronts)
    finals: dict[int, Outcome] = field(default_factory=dict)  # of the winners trained once more
    _broken: set[int] = field(default_factory=set)  # births known to violate a limit
    _trained: dict[int, Outcome] = field(default_factory=dict)  # ok, and waiting to be measured before they are told
    reestimates: dict[int, Reestimate] = field(default_factory=dict)  # of candidates that were trained again
    _first_best: tuple[float, int] | None = None  # accuracy, and the negative number of the birth
    _first: dict[int, Outcome] = field(default_factory=dict)  # ok and within the limits: accuracy of the first training
    _costs: dict[int, tuple[float, ...]] = field(default_factory=dict)  # their figures
    _again: dict[int, dict[Task, Outcome]] = field(default_factory=dict)  # later trainings
    _held: dict[int, tuple[Outcome, float]] = field(default_factory=dict)  # if outcomes are told in order: those not told yet
    _rungs: dict[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)  # figures known at birth, for these
    _curves: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)  # by rung: (accuracy, parameters)

    def __post_init__(self) -> None:
        if self.plan.lag is not None and not self.plan.columns.isdisjoint((*MEASURED, "train_time_s")):
            raise ValueError("measurements differ each time, so --reproducible cannot search for them")
        if self.measure == "none" and self._tells_measured:
            raise ValueError("an objective or a limit is measured, but --measure is none; give --measure front or all")
        self.search = Search(self.problem, self.plan, self.start)

    @property
    def _tells_measured(self) -> bool:
        return not self.plan.columns.isdisjoint(MEASURED)

    @property
    def front(self) -> tuple[int, ...]:
        """Return the births on the front of accuracy, parameters and FLOPs, by falling accuracy; none violates a limit."""
        return tuple(birth for birth in self._fronts.numbers(front_only=True) if birth not in self._broken)

    @property
    def near_front(self) -> tuple[int, ...]:
        """Return the births on this front and on the front of the rest, by falling accuracy."""
        return self._fronts.numbers(front_only=False)

    @property
    def best(self) -> tuple[float, int] | None:
        """Return accuracy and birth of the best: by means once any was trained again, before that by single trainings."""
        means = [(found.accuracy, -birth) for birth, found in self.reestimates.items() if birth not in self._broken]
        best = max(means, default=self._first_best)
        return None if best is None else (best[0], -best[1])

    def ask(self) -> Birth[str] | None:
        """Return the next birth, which then waits for training; None if no new genome can be found."""
        self._tell_in_order(self.search.births)
        birth = self.search.ask()
        if birth is not None:
            self._noted(birth)
        return birth

    @property
    def ready(self) -> bool:
        """Tell whether everything that the next birth depends on is known."""
        if self.plan.lag is None:
            return True
        return all(number in self._held for number in range(self.search.told, self.search.births - self.plan.lag))

    def replay(self, birth: Birth[str]) -> None:
        """Record a birth of an earlier part of the run."""
        self._tell_in_order(birth.number)
        self.search.replay(birth)
        self._noted(birth)

    def _tell_in_order(self, number: int) -> None:
        if self.plan.lag is not None:
            for told in range(self.search.told, number - self.plan.lag):
                self._told(told, *self._held.pop(told))

    def birth(self, number: int) -> Birth[str]:
        return self._births[number]

    def want(self, birth: Birth[str], task: Task) -> None:
        """Request more tasks for a candidate than the search itself does."""
        self._births[birth.number] = birth
        self.waiting[birth.number, task] = None

    def tell(self, number: int, task: Task, outcome: Outcome) -> None:
        """Record an outcome, and tell the search the part that it may know."""
        self.waiting.pop((number, task), None)
        if task == "train":
            self._heard_trained(number, outcome)
        elif task in AGAIN:
            self._heard_again(number, task, outcome)
        elif task == "measure":
            trained = self._trained.pop(number, None)
            if self._breaks(_values(outcome)):
                self._broken.add(number)
            if trained is not None:
                self.search.tell(number, {**_values(trained), **_values(outcome)})
        else:
            self.finals[number] = outcome
        if not any((number, other) in self.waiting for other in get_args(Task)):
            self._births.pop(number, None)

    def rungs(self, birth: Birth[str]) -> tuple[tuple[int, float], ...]:
        """Return the epochs at which a candidate is checked, and the accuracy below which it is stopped there.

        It is compared only with those that have no more parameters, as a small one may rightly learn slowly.
        """
        return self._rungs.get(birth.number) or self._thresholds(birth)

    def _thresholds(self, birth: Birth[str]) -> tuple[tuple[int, float], ...]:
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
        if self.plan.lag is not None:
            self._rungs[birth.number] = self._thresholds(birth)

    def _heard_trained(self, number: int, outcome: Outcome) -> None:
        birth = self._births[number]
        self.statuses[outcome.status] += 1
        self._rungs.pop(number, None)
        parameters = birth.known.get("parameters", outcome.parameters or 0)
        values = _values(outcome) if outcome.status == "ok" and outcome.accuracy is not None else None
        kept = values is not None and not self._breaks({**birth.known, **values})
        if kept:
            self._trained_well(number, birth, outcome)
        measured = self.measure == "all" and values is not None
        if kept and self._tells_measured and (measured or number in self.near_front):
            measured = True
            self._trained[number] = outcome  # and told once it is measured
        elif self.plan.lag is not None:
            self._held[number] = outcome, parameters
        else:
            self._told(number, outcome, parameters)
        if measured:
            self.waiting[number, "measure"] = None

    def _trained_well(self, number: int, birth: Birth[str], outcome: Outcome) -> None:
        assert outcome.accuracy is not None
        if self._first_best is None or outcome.accuracy > self._first_best[0]:
            self._first_best = outcome.accuracy, -number
        self._first[number] = Outcome(
            "ok", accuracy=outcome.accuracy, accuracy_low=outcome.accuracy_low, accuracy_high=outcome.accuracy_high
        )
        self._costs[number] = self._known_costs(birth, outcome)
        self._fronts.add(number, (ACCURACY.cost(outcome.accuracy), *self._costs[number]))

    def _told(self, number: int, outcome: Outcome, parameters: float) -> None:
        for epoch, accuracy in outcome.curve:
            self._curves.setdefault(epoch, deque(maxlen=_COMPARED)).append((accuracy, parameters))
        self.search.tell(number, _values(outcome) if outcome.status == "ok" and outcome.accuracy is not None else None)

    def _heard_again(self, number: int, task: Task, outcome: Outcome) -> None:
        """Replace a candidate's first accuracy by its mean once it was trained as often as requested."""
        trained = self._again.setdefault(number, {})
        trained[task] = outcome
        if len(trained) == len(AGAIN) and number in self._first:
            found = reestimated([self._first[number], *trained.values()])
            self.reestimates[number] = found
            self._fronts.add(number, (ACCURACY.cost(found.accuracy), *self._costs[number]))
            if self._breaks({"accuracy": found.accuracy}):
                self._broken.add(number)

    def doubtful(self, count: int) -> list[int]:
        """Return which of the current best `count` were trained only once; none violates a limit."""
        kept = (number for number in self._first if number not in self._broken)
        best = heapq.nsmallest(count, kept, key=lambda number: (-self._accuracy(number), number))
        return [number for number in best if number not in self.reestimates]

    def winners(self, count: int) -> list[int]:
        """Return the best: by mean accuracy if that is the only objective, else those on the front."""
        means = sorted(self.reestimates, key=lambda number: (-self._accuracy(number), number))
        known = [number for number in means if number not in self._broken] if self.plan.objectives == (ACCURACY,) else []
        return list(dict.fromkeys([*known, *self.front]))[:count]

    def _accuracy(self, number: int) -> float:
        found = self.reestimates.get(number)
        return self._first[number].accuracy or 0.0 if found is None else found.accuracy

    def keep_from(self, birth: Birth[str]) -> float:
        """Return the accuracy above which a candidate is near the current front, given its figures before training."""
        return max(0.0, -self._fronts.least_beaten(self._known_costs(birth, None)))

    def _breaks(self, values: Mapping[str, float | None]) -> bool:
        return any(limit.violation(values.get(limit.column)) > 0 for limit in self.plan.limits)

    @staticmethod
    def _known_costs(birth: Birth[str], outcome: Outcome | None) -> tuple[float, ...]:
        known = {column: getattr(outcome, column, None) for column in _KNOWN} | dict(birth.known)
        return tuple(float(known[column] or 0) for column in _KNOWN)


def _values(outcome: Outcome) -> Mapping[str, float | None]:
    return {column: value for column in METRICS if (value := getattr(outcome, column, None)) is not None}


def reestimated(outcomes: Sequence[Outcome]) -> Reestimate:
    """Return the mean accuracy of two to five trainings of one candidate, with its 95 % interval.

    The interval combines two errors: that of the validation images, which is the same in every training, and that of the seeds,
    t * s / sqrt(k). A training that failed counts as accuracy 0.
    """
    if not 2 <= len(outcomes) <= len(_T) + 1:
        raise ValueError(f"{len(outcomes)} trainings; there must be 2 to {len(_T) + 1}")
    accuracies = [outcome.accuracy or 0.0 for outcome in outcomes]
    centre, spread = mean(accuracies), stdev(accuracies)
    bounds = [
        (outcome.accuracy - outcome.accuracy_low, outcome.accuracy_high - outcome.accuracy)
        for outcome in outcomes
        if outcome.accuracy is not None and outcome.accuracy_low is not None and outcome.accuracy_high is not None
    ]
    below, above = (mean(side) for side in zip(*bounds, strict=True)) if bounds else (0.0, 0.0)
    seeds = _T[len(outcomes) - 2] * spread / math.sqrt(len(outcomes))
    low, high = max(0.0, centre - math.hypot(below, seeds)), min(1.0, centre + math.hypot(above, seeds))
    return Reestimate(centre, low, high, spread, len(outcomes))
