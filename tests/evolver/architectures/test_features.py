"""Features of genomes: always as many, finite, and of the function, not of how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evolver.architectures.features import features
from evolver.architectures.genome import Activation, Dropout, Genome
from tests.evolver.conftest import DIGITS, SPACES, TRAINING, convolution, genome_of


def test_features_are_finite_and_always_as_many(genomes: Callable[..., list[Genome]]) -> None:
    for space in SPACES:
        found = np.array([features(genome, space) for genome in genomes(space, 30, seed=2)])
        assert np.isfinite(found).all()
        assert len(np.unique(found, axis=0)) > 20


def test_genomes_of_one_function_have_the_same_features() -> None:
    plain = genome_of(convolution(8), Activation("relu"))
    doubled = genome_of(convolution(8), Activation("relu"), Activation("relu"), Dropout(0.0))
    assert features(plain, DIGITS) == features(doubled, DIGITS)
    hotter = replace(plain, training=replace(TRAINING, learning_rate=0.01))
    assert features(plain, DIGITS) != features(hotter, DIGITS)
    assert features(genome_of(), DIGITS) != features(plain, DIGITS)
