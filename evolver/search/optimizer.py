"""Turn finished candidates into the next births: a steady-state genetic algorithm, ask and tell.

This knows no process, file, clock or device. A birth draws its randomness only from (run seed, birth number) and depends
otherwise only on the births and outcomes before it, in their order: replay both, and the next
births are the same, bit for bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.search.surrogate import Screen

G = TypeVar("G")

# Not from the paper: we chose population size, tournament size and lifetime (reference: Deb et al. 2002 for ranks and
# feasibility first, Real et al. 2019 for ageing).
# For the surrogate, chosen by us: children from which one is chosen, the interval of births without it, and births over which
# idle workers, which must not wait for it, are detected.
_SCREENED, _UNSCREENED, _REMEMBERED = 16, 4, 32
# Births are random until the population is full, but at most this many times the population; our choice. If half of the random
# candidates fail, a search that breeds from the first few gets stuck with one of them: see tests/benchmarks/README.md.
_FIRST = 4
_DRAWS = 64  # attempts to redraw a birth that is a duplicate or violates a limit


class Problem(Protocol[G]):
    """The genomes to search. All functions are pure; randomness is passed in."""

    def random(self, rng: np.random.Generator, /) -> G: ...

    def vary(self, first: G, second: G, rng: np.random.Generator, /) -> G:
        """Return a mutated crossing of two genomes."""

    def key(self, genome: G, /) -> str:
        """Return the same text for genomes that compute the same function."""

    def known(self, genome: G, /) -> Mapping[str, float]:
        """Return the figures known without training: parameters, flops."""


class Described(Problem[G], Protocol[G]):
    """A problem whose genomes a surrogate can judge."""

    def features(self, genome: G, /) -> Sequence[float]:
        """Return a fixed number of features that are similar for similar genomes."""


@dataclass(frozen=True, slots=True)
class Birth(Generic[G]):
    """A genome to evaluate. `told` is the number of outcomes that the search knew at its birth."""

    number: int
    genome: G
    key: str
    parents: tuple[int, ...]
    seed: int
    told: int
    known: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The objectives and settings of a search; equal plans and seeds give equal searches."""

    objectives: tuple[Objective, ...] = (ACCURACY,)
    limits: tuple[Limit, ...] = ()
    seed: int = 0
    population: int = 32
    tournament: int = 4
    lifetime: int = 256  # number of outcomes after its own in which a candidate may still become a parent
    surrogate: bool = False  # whether to screen children with models of the outcomes seen
    lag: int | None = None  # a birth knows the outcomes of all births but the last `lag`; None: those that have arrived

    def __post_init__(self) -> None:
        columns = [objective.column for objective in self.objectives]
        if not columns or len(set(columns)) < len(columns):
            raise ValueError(f"objectives are {columns}; name at least one, and each only once")
        if not 1 <= self.tournament <= self.population <= self.lifetime:
            raise ValueError(
                f"tournament {self.tournament}, population {self.population}, lifetime {self.lifetime}: "
                "they must satisfy 1 <= tournament <= population <= lifetime"
            )
        if self.surrogate and ACCURACY not in self.objectives:
            raise ValueError("--surrogate predicts accuracy; add accuracy to --objectives")
        if self.lag is not None and self.lag < 1:
            raise ValueError(f"--reproducible is {self.lag}; it must be 1 or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")

    @property
    def columns(self) -> frozenset[str]:
        """Return the figures needed to rank a candidate."""
        return frozenset([objective.column for objective in self.objectives] + [limit.column for limit in self.limits])


@dataclass(frozen=True, slots=True)
class _Member(Generic[G]):
    number: int
    genome: G
    told: int
    violation: float
    costs: tuple[float, ...] | None  # None if an objective, or a column with a limit, was not measured


@dataclass
class Search(Generic[G]):
    """Ask for births, tell outcomes. `start` holds genomes that precede the random ones."""

    problem: Problem[G]
    plan: SearchSettings
    start: Sequence[G] = ()
    births: int = 0
    told: int = 0
    _keys: set[str] = field(default_factory=set)
    _waiting: dict[int, Birth[G]] = field(default_factory=dict)  # births without an outcome yet
    _recent: deque[_Member[G]] = field(default_factory=deque)
    _population: list[_Member[G]] | None = None  # best first
    _screen: Screen = field(init=False)
    _in_flight: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def __post_init__(self) -> None:
        self._screen = Screen(self.plan.objectives)

    def learn(self, genome: G, accuracy: float) -> None:
        """Tell the surrogate about a candidate of an earlier run."""
        if self.plan.surrogate:
            self._screen.add(self._features(genome), {}, {ACCURACY.column: accuracy})

    def _features(self, genome: G) -> Sequence[float]:
        return cast(Described[G], self.problem).features(genome)

    def ask(self) -> Birth[G] | None:
        """Return the next birth, or None if no new genome could be found."""
        number = self.births
        rng = np.random.default_rng(np.random.SeedSequence(self.plan.seed, spawn_key=(number,)))
        seed = int(rng.integers(2**31))
        drawn = self._draw(number, rng)
        if drawn is None:
            return None
        genome, key, parents, known = drawn
        birth = Birth(number, genome, key, parents, seed, self.told, known)
        self.replay(birth)
        return birth

    def replay(self, birth: Birth[G]) -> None:
        """Record a birth, returned by ask or from an earlier part of the run."""
        if birth.number != self.births:
            raise ValueError(f"birth {birth.number} does not follow after {self.births} births")
        self._in_flight.append(birth.number - birth.told)
        self.births += 1
        self._keys.add(birth.key)
        self._waiting[birth.number] = birth

    def tell(self, number: int, values: Mapping[str, float | None] | None) -> None:
        """Record the outcome of a birth: a value for each column; None if not measured or failed."""
        if number not in self._waiting:
            raise ValueError(f"birth {number} was never asked for, or was already told")
        birth = self._waiting.pop(number)
        self.told += 1
        if self.plan.surrogate:
            self._screen.add(self._features(birth.genome), birth.known, values or {})
        if values is not None:
            every = {**birth.known, **{column: value for column, value in values.items() if value is not None}}
            violation = math.fsum(limit.violation(every.get(limit.column)) for limit in self.plan.limits)
            complete = all(limit.column in every for limit in self.plan.limits)
            self._recent.append(_Member(number, birth.genome, self.told, violation, self._costs(every) if complete else None))
        while self._recent and self.told - self._recent[0].told >= self.plan.lifetime:
            self._recent.popleft()
        self._population = None

    @property
    def population(self) -> tuple[int, ...]:
        """Return the births that may now become parents, best first."""
        return tuple(member.number for member in self._living())

    def _living(self) -> list[_Member[G]]:
        """Return the best of those not too old (ageing: Real et al. 2019; survival: Deb et al. 2002)."""
        if self._population is None:
            recent = list(self._recent)
            violations, costs = [member.violation for member in recent], [member.costs for member in recent]
            best = best_first(violations, costs, self.plan.population)
            self._population = [recent[k] for k in best]
        return self._population

    def _costs(self, values: Mapping[str, float]) -> tuple[float, ...] | None:
        costs = [
            objective.cost(float(values[objective.column]))
            for objective in self.plan.objectives
            if objective.column in values and math.isfinite(values[objective.column])
        ]
        return tuple(costs) if len(costs) == len(self.plan.objectives) else None

    def _draw(self, number: int, rng: np.random.Generator) -> tuple[G, str, tuple[int, ...], Mapping[str, float]] | None:
        """Draw until a genome is new and meets the limits; failing that, take the new one closest to meeting them."""
        nearest: tuple[float, tuple[G, str, tuple[int, ...], Mapping[str, float]]] | None = None
        for draw in range(2 * _DRAWS):
            given = number < len(self.start) and draw == 0
            if given:
                genome, parents = self.start[number], tuple[int, ...]()
            elif draw >= _DRAWS or self._fills(number):
                genome, parents = self.problem.random(rng), ()
            else:
                genome, parents = self._child(number, rng)
            key = self.problem.key(genome)
            if key in self._keys:
                continue
            known = self.problem.known(genome)
            violation = 0.0 if given else math.fsum(limit.violation(known.get(limit.column)) for limit in self.plan.limits)
            if violation == 0:
                return genome, key, parents, known
            if nearest is None or violation < nearest[0]:
                nearest = violation, (genome, key, parents, known)
        return nearest[1] if nearest else None

    def _fills(self, number: int) -> bool:
        """Tell whether a birth is random, to fill the population."""
        living = len(self._living())
        return not living or (living < self.plan.population and number < _FIRST * self.plan.population)

    def _child(self, number: int, rng: np.random.Generator) -> tuple[G, tuple[int, ...]]:
        """Return a child of two parents, or the one of several that the surrogate chooses."""
        children = []
        for _ in range(_SCREENED if self._screens(number) else 1):
            first, second = self._tournament(rng), self._tournament(rng)
            children.append((self.problem.vary(first.genome, second.genome, rng), (first.number, second.number)))
        if len(children) == 1:
            return children[0]
        genomes = [child for child, _ in children]
        return children[self._screen.choose(list(map(self._features, genomes)), list(map(self.problem.known, genomes)), rng)]

    def _screens(self, number: int) -> bool:
        """Tell whether a birth is screened: not every fourth, nor while workers are idle, nor before enough has been learned."""
        if not self.plan.surrogate or number % _UNSCREENED == 0 or not self._screen.ready:
            return False
        return max(self._in_flight, default=0) - (number - self.told) <= 1

    def _tournament(self, rng: np.random.Generator) -> _Member[G]:
        living = self._living()
        return living[int(rng.integers(len(living), size=self.plan.tournament).min())]


def best_first(violations: Sequence[float], costs: Sequence[tuple[float, ...] | None], most: int, /) -> list[int]:
    """Return the best of n candidates, up to `most`: feasible ones first, then by layer, then by crowding.

    Those with an unmeasured objective (costs None) come after the complete ones; those that violate limits come after
    all others, by the extent of the violation. Of equal ones, the later comes first, as it lives longer.
    """
    n = len(violations)
    layer, crowding = np.full(n, n, dtype=np.int64), np.zeros(n)
    rows = [k for k in range(n) if costs[k] is not None and violations[k] == 0]
    if rows:
        numbers = np.fromiter(chain.from_iterable(costs[k] or () for k in rows), dtype=np.float64)
        layer[rows], crowding[rows] = _ranked(numbers.reshape(len(rows), -1), most)
    best: list[int] = np.lexsort((-np.arange(n), -crowding, layer, np.asarray(violations)))[:most].tolist()
    return best


def _ranked(costs: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return layer and crowding [n] of costs [n, d]; crowding only in the layers to which the best `most` extend."""
    crowding = np.zeros(len(costs))
    if costs.shape[1] == 1:
        # one objective needs no layers; numba, which compiles them, takes longer to load than a run to start
        return np.unique(costs[:, 0], return_inverse=True)[1].reshape(-1).astype(np.int64), crowding
    from ecosel.dominance import crowding_distance, nondominated_rank

    layer = nondominated_rank(costs)
    number, placed = 0, 0
    while placed < min(most, len(costs)):
        rows = np.flatnonzero(layer == number)
        crowding[rows] = crowding_distance(costs[rows])
        number, placed = number + 1, placed + len(rows)
    return layer, crowding
