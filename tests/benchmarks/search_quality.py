"""Hypervolume of the search beside Optuna's NSGA-II and random search, at the same number of evaluations.

python -m tests.benchmarks.search_quality [--births N] [--seeds N]

A synthetic architecture problem (tests/evolver/toy.py): 12 slots with a kind and a width, accuracy rugged in the pairs of
neighbours, parameters multiplied like layers'. Objectives: highest accuracy, lowest parameters. Each seed is another
landscape and another run of each search; every method sees the same landscapes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import optuna

from ecosel.dominance import hypervolume
from ecosel.objectives import ACCURACY, Objective
from evolver.search.optimizer import Search, SearchSettings
from tests.evolver.toy import KINDS, SLOTS, WIDTHS, SlotProblem, Slots

PARAMETERS = Objective("parameters", "min")
_MOST_PARAMETERS = 12_000.0  # of any genome is 12,290; the reference point is (accuracy 0, 12,000 parameters)
Found = list[tuple[float, float]]


def evaluate(problem: SlotProblem, genome: Slots) -> tuple[float, float]:
    return problem.accuracy(genome), problem.known(genome)["parameters"]


def at_random(seed: int, births: int) -> Found:
    problem, rng = SlotProblem(seed), np.random.default_rng(seed)
    return [evaluate(problem, problem.random(rng)) for _ in range(births)]


def by_search(seed: int, births: int, *, ahead: int) -> Found:
    """Keep `ahead` births in flight, as so many workers would; a random one of them is done first."""
    problem, rng = SlotProblem(seed), np.random.default_rng(seed)
    search = Search(problem, SearchSettings((ACCURACY, PARAMETERS), seed=seed))
    waiting, found = [], Found()
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        found.append(evaluate(problem, birth.genome))
        waiting.append(birth)
        if len(waiting) == ahead:
            done = waiting.pop(int(rng.integers(ahead)))
            search.tell(done.number, {"accuracy": problem.accuracy(done.genome)})
    return found


def by_optuna(seed: int, births: int, *, population: int) -> Found:
    problem, found = SlotProblem(seed), Found()

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        genome = tuple(
            (trial.suggest_categorical(f"kind{slot}", range(KINDS)), trial.suggest_int(f"width{slot}", 0, WIDTHS - 1))
            for slot in range(SLOTS)
        )
        found.append(evaluate(problem, genome))
        return found[-1]

    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
    optuna.create_study(directions=["maximize", "minimize"], sampler=sampler).optimize(objective, births)
    return found


def volume(found: Found) -> float:
    """Return the share of the box between (accuracy 1, 0 parameters) and the reference point that is dominated."""
    costs = [[1 - accuracy, parameters / _MOST_PARAMETERS] for accuracy, parameters in found]
    return hypervolume(costs, [1, 1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--births", type=int, default=500)
    arguments.add_argument("--seeds", type=int, default=20)
    given = arguments.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    methods: dict[str, Callable[[int], Found]] = {
        "random": lambda seed: at_random(seed, given.births),
        "Optuna NSGA-II, population 50 (its default)": lambda seed: by_optuna(seed, given.births, population=50),
        "Optuna NSGA-II, population 32": lambda seed: by_optuna(seed, given.births, population=32),
        "evolver, 1 in flight": lambda seed: by_search(seed, given.births, ahead=1),
        "evolver, 16 in flight": lambda seed: by_search(seed, given.births, ahead=16),
    }
    volumes = {}
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, "
          f"optuna {optuna.__version__}; {given.births} evaluations, {given.seeds} seeds\n")  # fmt: skip
    print("| method | hypervolume, median | min | max | better than random in | seconds per run |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, method in methods.items():
        began = time.perf_counter()
        volumes[name] = [volume(method(seed)) for seed in range(given.seeds)]
        took = (time.perf_counter() - began) / given.seeds
        own = volumes[name]
        better = sum(one > other for one, other in zip(own, volumes["random"], strict=True))
        print(
            f"| {name} | {median(own):.4f} | {min(own):.4f} | {max(own):.4f} | {better} of {given.seeds} | {took:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
