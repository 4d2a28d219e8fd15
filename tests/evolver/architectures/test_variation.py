"""Drawing, crossing and mutating: valid, pure, the same from the same seed, and able to reach everything."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from evolver.architectures.genome import CLASSIFIER_OPS, FEATURE_OPS, Genome
from evolver.architectures.shapes import describe, repair
from evolver.architectures.space import Space
from evolver.architectures.variation import crossover, mutate, random_genome
from tests.evolver.architectures.test_shapes import assert_valid
from tests.evolver.conftest import CIFAR, DIGITS, NARROW


def test_what_is_born_is_valid(space: Space) -> None:
    rng = np.random.default_rng(3)
    genomes = [random_genome(space, rng) for _ in range(300)]
    for a, b in zip(genomes, reversed(genomes), strict=True):
        for born in (a, crossover(a, b, space, rng), mutate(a, space, rng), mutate(a, space, rng, rate=30.0)):
            assert_valid(born, space)
            assert repair(born, space) == born


def test_one_seed_gives_one_genome_and_parents_stay_as_they_were() -> None:
    a, b = random_genome(DIGITS, np.random.default_rng(1)), random_genome(DIGITS, np.random.default_rng(2))
    texts = a.to_json(), b.to_json()

    def born(seed: int) -> tuple[Genome, ...]:
        rng = np.random.default_rng(seed)
        return random_genome(DIGITS, rng), crossover(a, b, DIGITS, rng), mutate(a, DIGITS, rng)

    assert born(5) == born(5)
    assert all(one != other for one, other in zip(born(5), born(6), strict=True))
    assert (a.to_json(), b.to_json()) == texts


def test_a_child_of_two_has_each_slot_of_one_of_them_cut_at_two_borders_at_most() -> None:
    rng = np.random.default_rng(4)
    from_both = 0
    for _ in range(300):
        a, b = random_genome(DIGITS, rng), random_genome(DIGITS, rng)
        child = crossover(a, b, Space((1, 8, 8), 10, batch_sizes=DIGITS.batch_sizes), rng)  # wide limits: nothing narrowed
        origins = ""
        for slot, of_a, of_b in zip(
            child.features + child.classifier, a.features + a.classifier, b.features + b.classifier, strict=True
        ):
            # windows may have been fitted anew, kinds and on stay
            like_a = (slot.on, slot.layer.op) == (of_a.on, of_a.layer.op)
            like_b = (slot.on, slot.layer.op) == (of_b.on, of_b.layer.op)
            assert like_a or like_b
            if like_a != like_b:
                origins += "a" if like_a else "b"
        changes = sum(one != other for one, other in pairwise(origins))
        assert changes <= 2, origins
        from_both += changes > 0
        training = child.training
        assert (training.optimizer, training.learning_rate) in {
            (parent.training.optimizer, parent.training.learning_rate) for parent in (a, b)
        }
        assert training.epochs in (a.training.epochs, b.training.epochs)
    assert from_both > 200


def test_a_mutation_reaches_every_kind_and_every_training_gene() -> None:
    rng = np.random.default_rng(8)
    start = random_genome(CIFAR, rng)
    kinds: Counter[tuple[bool, str]] = Counter()
    training: Counter[str] = Counter()
    unchanged = 0
    for _ in range(2_000):
        child = mutate(start, CIFAR, rng, rate=1.0)
        unchanged += child == start
        for part, slots, old in ((True, child.features, start.features), (False, child.classifier, start.classifier)):
            kinds.update((part, slot.layer.op) for slot, before in zip(slots, old, strict=True) if slot.on and slot != before)
        training.update(
            gene for gene in child.training.__slots__ if getattr(child.training, gene) != getattr(start.training, gene)
        )
    assert set(kinds) == {(True, op) for op in FEATURE_OPS} | {(False, op) for op in CLASSIFIER_OPS}
    assert set(training) == {"optimizer", "learning_rate", "weight_decay", "batch_size", "epochs"}
    assert unchanged < 100


def test_the_rate_is_the_mean_number_of_changes() -> None:
    rng = np.random.default_rng(9)
    slots = Space((1, 28, 28), 10, feature_slots=100, classifier_slots=100)
    start = random_genome(slots, rng)
    changed = []
    for _ in range(300):
        child = mutate(start, slots, rng, rate=1.0)
        same = sum(one == other for one, other in zip(child.classifier, start.classifier, strict=True))
        changed.append(100 - same)
    # one slot, or, where a slot was moved, those that it passed
    assert np.median(changed) <= 1
    with pytest.raises(ValueError, match=r"rate is 0\.5; it must be 1 or more"):
        mutate(start, slots, rng, rate=0.5)


def test_parents_of_another_space_are_fitted_into_this_one_first() -> None:
    rng = np.random.default_rng(10)
    for _ in range(50):
        a, b = random_genome(CIFAR, rng), random_genome(NARROW, rng)
        with pytest.raises(ValueError, match=r"a parent has \(16, 16\) slots, the space \(6, 3\)"):
            crossover(b, a, NARROW, rng)
        with pytest.raises(ValueError, match="repair the parent into the space first"):
            mutate(a, NARROW, rng)
        assert_valid(crossover(repair(a, NARROW), b, NARROW, rng), NARROW)
        assert_valid(mutate(repair(b, CIFAR), CIFAR, rng), CIFAR)


def test_a_space_without_slots_still_varies_its_training() -> None:
    space = Space((1, 8, 8), 10, feature_slots=0, classifier_slots=0)
    rng = np.random.default_rng(11)
    genome = random_genome(space, rng)
    assert describe(genome, space).parameters == 650
    assert mutate(genome, space, rng).training != genome.training
    assert_valid(crossover(genome, random_genome(space, rng), space, rng), space)
