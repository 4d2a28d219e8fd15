"""The surrogate of the search on tables of trained networks, beside its controls and other libraries.

python -m tests.benchmarks.surrogate cora|photo|toy --in-flight 1 --seeds 20 [--births 300] [--methods plain,surrogate,...]

cora and photo: validation accuracy of 26,206 trained graph networks each (NAS-Bench-Graph, `pip install nas-bench-graph`; not
a dependency of ecosel). toy: tests/evolver/toy.py, another landscape for each seed. Single objective: accuracy.
`shuffled` is the control: the same children, and the model's draws dealt out among them at random. `kept` also knows the 300
outcomes of an earlier run of another seed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from evolver.search.optimizer import Search, SearchSettings
from evolver.search.surrogate import Surrogate
from tests.evolver.toy import KINDS, SLOTS, WIDTHS, SlotProblem

AT = (50, 100, 150, 200, 300)


class Graphs:
    """NAS-Bench-Graph as a problem: a pattern of links, and four operations."""

    def __init__(self, name: str) -> None:
        from nas_bench_graph import light_read
        from nas_bench_graph.architecture import Arch, gnn_list, link_list

        self.table, self.arch, self.operations, self.links = light_read(name), Arch, gnn_list, link_list

    def random(self, rng: np.random.Generator, /) -> tuple[int, ...]:
        while True:
            genome = (int(rng.integers(len(self.links))), *map(int, rng.integers(len(self.operations), size=4)))
            if self.key(genome) != "None":
                return genome

    def vary(self, first: tuple[int, ...], second: tuple[int, ...], rng: np.random.Generator, /) -> tuple[int, ...]:
        while True:
            child = list(first)
            if rng.random() < 0.5:
                start, stop = sorted(rng.integers(6, size=2).tolist())
                child[start:stop] = second[start:stop]
            for _ in range(1 + int(rng.poisson(0.5))):
                place = int(rng.integers(5))
                child[place] = int(rng.integers(len(self.links) if place == 0 else len(self.operations)))
            if self.key(tuple(child)) != "None":
                return tuple(child)

    def key(self, genome: tuple[int, ...], /) -> str:
        found = self.arch(self.links[genome[0]], [self.operations[k] for k in genome[1:]]).valid_hash()
        return str(found if found in self.table else None)

    def known(self, genome: tuple[int, ...], /) -> Mapping[str, float]:
        return {}

    def features(self, genome: tuple[int, ...], /) -> Sequence[float]:
        return [float(k == genome[0]) for k in range(9)] + [float(k == kind) for kind in genome[1:] for k in range(9)]

    def accuracy(self, genome: tuple[int, ...], /) -> float:
        return float(self.table[int(self.key(genome))]["valid_perf"])

    def suggested(self, trial: Any) -> tuple[int, ...]:
        names = [f"g{k}" for k in range(5)]
        return tuple(trial.suggest_categorical(name, range(9)) for name in names)


class Toy(SlotProblem):
    def features(self, genome: Any, /) -> Sequence[float]:
        kinds = [float(kind == k) for kind, _ in genome for k in range(KINDS)]
        return kinds + [width / WIDTHS if kind else 0.0 for kind, width in genome]

    def suggested(self, trial: Any) -> Any:
        return tuple(
            (trial.suggest_categorical(f"k{slot}", range(KINDS)), trial.suggest_int(f"w{slot}", 0, WIDTHS - 1))
            for slot in range(SLOTS)
        )


class Shuffled(Surrogate):
    """Knows which values there are, and not whose."""

    def drawn(self, features: Any, rng: np.random.Generator) -> Any:
        return super().drawn(np.asarray(features)[rng.permutation(len(features))], rng)


def by_search(problem: Any, seed: int, births: int, *, ahead: int, model: str, population: int) -> list[float]:
    plan = SearchSettings(seed=seed, population=population, surrogate=model != "plain")
    search: Search[Any] = Search(problem, plan)
    if model == "shuffled":
        search._screen.models["accuracy"] = Shuffled()
    if model == "kept":
        earlier: Search[Any] = Search(problem, SearchSettings(seed=seed + 1000, population=population))
        for _ in range(300):
            birth = earlier.ask()
            assert birth is not None
            earlier.tell(birth.number, {"accuracy": problem.accuracy(birth.genome)})
            search.learn(birth.genome, problem.accuracy(birth.genome))
    rng, waiting, found = np.random.default_rng(seed), [], []
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        found.append(problem.accuracy(birth.genome))
        waiting.append((birth, found[-1]))
        if len(waiting) == ahead:
            done, accuracy = waiting.pop(int(rng.integers(ahead)))
            search.tell(done.number, {"accuracy": accuracy})
    return found


def at_random(problem: Any, seed: int, births: int) -> list[float]:
    rng, seen, found = np.random.default_rng(seed), set(), list[float]()
    while len(found) < births:
        genome = problem.random(rng)
        if problem.key(genome) not in seen:
            seen.add(problem.key(genome))
            found.append(problem.accuracy(genome))
    return found


def regularized(problem: Any, seed: int, births: int) -> list[float]:
    """Regularized evolution (Real et al. 2019): population 50, sample 10, the oldest dies, mutation only."""
    rng, found = np.random.default_rng(seed), list[float]()
    population: list[tuple[Any, float]] = []
    for number in range(births):
        if number < 50:
            genome = problem.random(rng)
        else:
            sample = [population[k] for k in rng.choice(len(population), 10, replace=False)]
            parent = max(sample, key=lambda member: member[1])[0]
            genome = problem.vary(parent, parent, rng)
        found.append(problem.accuracy(genome))
        population = [*population, (genome, found[-1])][-50:]
    return found


def by_optuna(problem: Any, seed: int, births: int, *, ahead: int, sampler: str) -> list[float]:
    """Ask and tell as `by_search` does. Optuna may repeat a genome, which counts; one that the table lacks does not."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler, "gp": optuna.samplers.GPSampler}
    rng, waiting, found = np.random.default_rng(seed), [], list[float]()
    with warnings.catch_warnings(action="ignore"):  # its Gaussian process is called experimental
        study = optuna.create_study(direction="maximize", sampler=samplers[sampler](seed=seed))
        while len(found) < births:
            trial = study.ask()
            genome = problem.suggested(trial)
            if problem.key(genome) == "None":
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                continue
            found.append(problem.accuracy(genome))
            waiting.append((trial, found[-1]))
            if len(waiting) == ahead:
                study.tell(*waiting.pop(int(rng.integers(ahead))))
    return found


def found_by(name: str, problem: Any, seed: int, given: argparse.Namespace) -> list[float]:
    if name == "random":
        return at_random(problem, seed, given.births)
    if name == "regularized":
        return regularized(problem, seed, given.births)
    if name in ("tpe", "nsga2", "gp"):
        return by_optuna(problem, seed, given.births, ahead=given.in_flight, sampler=name)
    return by_search(problem, seed, given.births, ahead=given.in_flight, model=name, population=given.population)


def options(text: str | None, methods: str) -> argparse.ArgumentParser:
    """Return the options that the benchmarks of a surrogate share."""
    arguments = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("problem", choices=["cora", "photo", "toy"])
    arguments.add_argument("--in-flight", type=int, default=1)
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--births", type=int, default=300)
    arguments.add_argument("--methods", default=methods)
    return arguments


def compare(
    given: argparse.Namespace, what: str, marks: Sequence[int], figures: Callable[[str, Any, int, list[int]], list[float]]
) -> None:
    """Print a row for each method: figures(method, problem, seed, numbers of births) gives one figure for each number."""
    table = None if given.problem == "toy" else Graphs(given.problem)
    at = [births for births in marks if births <= given.births]
    print(f"{given.problem}, {given.in_flight} in flight, {given.seeds} seeds: {what} at, medians\n")
    print(f"| method | {' | '.join(map(str, at))} | better than plain, worse | core seconds a run |")
    print("| --- " * (len(at) + 3) + "|")
    plain: list[float] = []
    for name in given.methods.split(","):
        began = time.process_time()
        rows = [figures(name, Toy(seed) if table is None else table, seed, at) for seed in range(given.seeds)]
        took = (time.process_time() - began) / given.seeds
        last = [row[-1] for row in rows]
        plain = plain or last
        better, worse = (sum(sign * (a - b) > 0 for a, b in zip(last, plain, strict=True)) for sign in (1, -1))
        cells = " | ".join(f"{median(row[k] for row in rows):.4f}" for k in range(len(at)))
        print(f"| {name} | {cells} | {better}, {worse} | {took:.2f} |", flush=True)


def main() -> None:
    arguments = options(__doc__, "plain,surrogate,shuffled,kept,random,regularized,tpe")
    arguments.add_argument("--population", type=int, default=32)
    given = arguments.parse_args()

    def best(name: str, problem: Any, seed: int, at: list[int]) -> list[float]:
        found = found_by(name, problem, seed, given)
        return [max(found[:births]) for births in at]

    compare(given, "best accuracy", AT, best)


if __name__ == "__main__":
    main()
