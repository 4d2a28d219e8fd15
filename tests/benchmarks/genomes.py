"""Draw many genomes: are all valid, do counts equal PyTorch's, does the normal form compute the same, and how fast is it all?

python -m tests.benchmarks.genomes [--genomes 100000] [--counted 2000] [--compared 500]
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np

from evolver.architectures.genome import Genome
from evolver.architectures.normal_form.canonical import canonical, canonical_key
from evolver.architectures.shapes import describe, repair
from evolver.architectures.space import Space, suited
from evolver.architectures.variation import crossover, mutate, random_genome

SPACE = suited((3, 32, 32), 10, training_images=45_000, cuda=True)


def valid(count: int, seed: int) -> int:
    """Return how many wild genomes are not valid after repair, by the tests' own check."""
    from tests.evolver.architectures.test_shapes import assert_valid
    from tests.evolver.conftest import wild_genome

    rng, wrong = np.random.default_rng(seed), 0
    for _ in range(count):
        try:
            assert_valid(repair(wild_genome(SPACE, rng), SPACE), SPACE)
        except (AssertionError, ValueError):
            wrong += 1
    return wrong


def miscounted(count: int, seed: int) -> int:
    from tests.evolver.architectures.test_shapes import assert_counts_are_torchs

    rng, wrong = np.random.default_rng(seed), 0
    for _ in range(count):
        try:
            assert_counts_are_torchs(random_genome(SPACE, rng), SPACE)
        except AssertionError:
            wrong += 1
    return wrong


def largest_difference(count: int, seed: int) -> tuple[float, int]:
    """Return the largest difference of logits by normal form, and how many forms were shorter than their genomes."""
    from tests.evolver.architectures.normal_form.test_canonical import difference

    small = Space((3, 32, 32), 10, max_flops=30_000_000)
    rng, largest, shorter = np.random.default_rng(seed), 0.0, 0
    for _ in range(count):
        genome = random_genome(small, rng)
        form = canonical(genome, small)
        largest = max(largest, difference(genome, form, small))
        shorter += len(list(form.layers())) < len(list(genome.layers()))
    return largest, shorter


def rate(step: Callable[[Genome], object], genomes: list[Genome], repeats: int = 5) -> tuple[float, float, float]:
    """Return genomes a second of CPU time: median, lowest, highest of some repeats."""
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        for genome in genomes:
            step(genome)
        rates.append(len(genomes) / (time.process_time() - start))
    return float(np.median(rates)), min(rates), max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genomes", type=int, default=100_000)
    parser.add_argument("--counted", type=int, default=2_000)
    parser.add_argument("--compared", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, seed {given.seed}\n")
    rng = np.random.default_rng(given.seed)
    genomes = [random_genome(SPACE, rng) for _ in range(2_000)]
    steps: dict[str, Callable[[Genome], object]] = {
        "random_genome": lambda genome: random_genome(SPACE, rng),
        "mutate": lambda genome: mutate(genome, SPACE, rng),
        "crossover": lambda genome: crossover(genome, genomes[0], SPACE, rng),
        "describe": lambda genome: describe(genome, SPACE),
        "repair": lambda genome: repair(genome, SPACE),
        "repair and describe": lambda genome: describe(repair(genome, SPACE), SPACE),
        "canonical_key": lambda genome: canonical_key(genome, SPACE),
        "to_json and from_json": lambda genome: Genome.from_json(genome.to_json()),
    }
    print("| step, 16 + 16 slots | genomes per CPU second, median of 5 | lowest to highest |\n| --- | --- | --- |")
    for name, step in steps.items():
        median, lowest, highest = rate(step, genomes)
        print(f"| {name} | {median:,.0f} | {lowest:,.0f} to {highest:,.0f} |", flush=True)
    print(f"\nwild genomes that are not valid after repair: {valid(given.genomes, given.seed)} of {given.genomes:,}", flush=True)
    print(
        f"parameters, FLOPs or shapes unlike PyTorch's: {miscounted(given.counted, given.seed)} of {given.counted:,}", flush=True
    )
    largest, shorter = largest_difference(given.compared, given.seed)
    print(
        f"largest relative difference of logits by normal form, {given.compared:,} genomes: {largest:.1e}; {shorter:,} forms are shorter"
    )


if __name__ == "__main__":
    main()
