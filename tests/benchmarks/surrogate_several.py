"""Whether a surrogate helps with several objectives: hypervolume beside the plain search and beside shuffled draws.

python -m tests.benchmarks.surrogate_several cora|photo|toy --in-flight 1 --seeds 20 [--births 300] [--methods plain,...]

cora and photo: accuracy and latency of NAS-Bench-Graph; toy: accuracy and parameters, which are known before training.
`surrogate` is what `--surrogate` does: each of 16 children gets one draw for each objective that is not known, and one of those
that no other dominates is kept, at random. Tried beside it, with the same models and draws, as ranks among the outcomes:
`weights` keeps the best by a random weighted maximum (Chebyshev, as in Knowles 2006), `volume` the child that adds most
hypervolume to the front of the outcomes. `shuffled` is the control: as `weights`, with draws dealt out at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance import hypervolume, nondominated_mask
from ecosel.objectives import ACCURACY, Objective
from evolver.search.optimizer import Search, SearchSettings
from evolver.search.surrogate import Surrogate
from tests.benchmarks.surrogate import Toy, compare, options

AT = (50, 100, 200, 300)
CHILDREN, UNSCREENED, LEARNT = 16, 4, 32
Costs = NDArray[np.float64]


def by_weights(costs: Costs, seen: Costs, rng: np.random.Generator) -> int:
    share = rng.random()
    weights = np.array([share, 1 - share])
    return int((np.max(costs * weights, axis=1) + 0.05 * costs @ weights).argmin())


def by_volume(costs: Costs, seen: Costs, rng: np.random.Generator) -> int:
    front, worst = seen[nondominated_mask(seen)], [1.0, 1.0]
    return int(np.argmax([hypervolume(np.vstack([front, np.clip(row, -1, 1)]), worst) for row in costs]))


def by_shuffled(costs: Costs, seen: Costs, rng: np.random.Generator) -> int:
    return int(rng.permutation(len(costs))[by_weights(costs, seen, rng)])


CHOICES: dict[str, Callable[[Costs, Costs, np.random.Generator], int]] = {
    "weights": by_weights, "volume": by_volume, "shuffled": by_shuffled,
}  # fmt: skip


@dataclass
class Screened(Search[Any]):
    """A search of accuracy and a second cost whose children are screened by draws of both."""

    method: str = "plain"
    second: str = "parameters"
    _models: dict[str, Surrogate] = field(default_factory=lambda: {"accuracy": Surrogate(), "second": Surrogate()})
    _seen: list[tuple[float, float]] = field(default_factory=list)

    def learnt(self, genome: Any, accuracy: float, cost: float) -> None:
        features = self._features(genome)
        self._models["accuracy"].add(features, -accuracy)
        self._models["second"].add(features, cost)
        self._seen.append((-accuracy, cost))

    def _child(self, number: int, rng: np.random.Generator) -> tuple[Any, tuple[int, ...]]:
        if self.method not in CHOICES or number % UNSCREENED == 0 or len(self._seen) < LEARNT:
            return super()._child(number, rng)
        children = [super(Screened, self)._child(number, rng) for _ in range(CHILDREN)]
        features = [self._features(genome) for genome, _ in children]
        seen, last = np.array(self._seen), np.array(self._seen[-256:])
        known = [self.problem.known(genome).get(self.second) for genome, _ in children]
        # draws are standardised ranks of the last outcomes: uniform ranks have deviation 1 between +-sqrt(3)
        columns = [self._models["accuracy"].drawn(features, rng) / math.sqrt(3)]
        if None in known:
            columns.append(self._models["second"].drawn(features, rng) / math.sqrt(3))
        else:
            columns.append(ranks(np.array(known, dtype=float), last[:, 1]))
        past = np.column_stack([ranks(seen[:, k], last[:, k]) for k in (0, 1)])
        return children[CHOICES[self.method](np.column_stack(columns), past, rng)]


def ranks(values: Costs, among: Costs) -> Costs:
    """Return the places of values among others, from -1 to 1."""
    ordered = np.sort(among)
    places = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    return np.asarray(2 * places / len(among) - 1, dtype=np.float64)


def second_cost(problem: Any, genome: Any) -> float:
    if isinstance(problem, Toy):
        return problem.known(genome)["parameters"]
    return float(problem.table[int(problem.key(genome))]["latency"])


def run(problem: Any, seed: int, births: int, *, ahead: int, method: str) -> list[tuple[float, float]]:
    second = "parameters" if isinstance(problem, Toy) else "latency"
    plan = SearchSettings((ACCURACY, Objective(second, "min")), seed=seed, surrogate=method == "surrogate")
    search = Screened(problem, plan, method=method, second=second)
    rng, waiting, found = np.random.default_rng(seed), [], list[tuple[float, float]]()
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        found.append((problem.accuracy(birth.genome), second_cost(problem, birth.genome)))
        waiting.append((birth, *found[-1]))
        if len(waiting) == ahead:
            done, accuracy, cost = waiting.pop(int(rng.integers(ahead)))
            search.tell(done.number, {"accuracy": accuracy, second: cost})
            if method in CHOICES:
                search.learnt(done.genome, accuracy, cost)
    return found


def volume(found: Sequence[tuple[float, float]], bounds: tuple[float, float, float], log: bool) -> float:
    """Return the dominated share of a box: accuracy from `bounds[0]` to 1, the second cost (or its logarithm) in the others."""
    least, low, high = bounds
    scaled = np.array([[(1 - accuracy) / (1 - least), (math.log(cost) if log else cost)] for accuracy, cost in found])
    scaled[:, 1] = (scaled[:, 1] - low) / (high - low)
    return hypervolume(scaled[(scaled < 1).all(axis=1)], [1, 1]) if (scaled < 1).all(axis=1).any() else 0.0


def bounds_of(problem: Any) -> tuple[float, float, float]:
    if isinstance(problem, Toy):
        return 0.0, 0.0, 12_000.0
    logs = [math.log(row["latency"]) for row in problem.table.values()]
    return 0.5, min(logs), max(logs)


def main() -> None:
    given = options(__doc__, "plain,surrogate,weights,volume,shuffled").parse_args()

    def volumes(method: str, problem: Any, seed: int, at: list[int]) -> list[float]:
        found = run(problem, seed, given.births, ahead=given.in_flight, method=method)
        return [volume(found[:births], bounds_of(problem), not isinstance(problem, Toy)) for births in at]

    compare(given, "hypervolume", AT, volumes)


if __name__ == "__main__":
    main()
