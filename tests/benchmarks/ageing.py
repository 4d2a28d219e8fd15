"""What ageing within a run does where accuracies are partly luck: python -m tests.benchmarks.ageing toy|cora|photo NOISE BIRTHS

Each training's accuracy is that of the table or the toy plus normal noise of deviation NOISE. As `ecosel evolve --confirm 5`
does, the five best are trained twice more, and the highest mean is chosen; what counts is its accuracy without noise. The first
lifetime never acts within a run of as many births. 40 seeds.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from evolver.search.optimizer import Search, SearchSettings
from tests.benchmarks.surrogate import Graphs, Toy

SEEDS = 40
LIFETIMES = {16: (64, 32), 32: (128, 64)}


def chosen(problem: Any, seed: int, births: int, noise: float, population: int, lifetime: int) -> float:
    search: Search[Any] = Search(problem, SearchSettings(seed=seed, population=population, lifetime=lifetime))
    rng, seen = np.random.default_rng(seed + 77), list[tuple[float, float]]()
    for number in range(births):
        birth = search.ask()
        assert birth is not None
        true = problem.accuracy(birth.genome)
        seen.append((true + rng.normal() * noise, true))
        search.tell(number, {"accuracy": seen[-1][0]})
    means = [(float(np.mean([first, *(true + rng.normal(size=2) * noise)])), true) for first, true in sorted(seen)[-5:]]
    return max(means)[1]


def main() -> None:
    name, noise, births = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    table = None if name == "toy" else Graphs(name)
    print("| problem | noise | births | population | lifetime | median | 10 % quantile | better, worse than without ageing |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for population, lifetimes in LIFETIMES.items():
        without = None
        for lifetime in (births + 1, *lifetimes):
            problems = ((seed, Toy(seed) if table is None else table) for seed in range(SEEDS))
            found = np.array([chosen(problem, seed, births, noise, population, lifetime) for seed, problem in problems])
            without = found if without is None else without
            better, worse = int((found > without).sum()), int((found < without).sum())
            print(f"| {name} | {noise:g} | {births} | {population} | {'none' if lifetime > births else lifetime} "
                  f"| {np.median(found):.4f} | {np.quantile(found, 0.1):.4f} | {better}, {worse} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
