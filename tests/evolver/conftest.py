"""Spaces and genomes that several tests draw from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evolver.architectures.genome import Convolution, Dropout, Genome, InnerProduct, Layer, Pooling, Slot, Training
from evolver.architectures.space import Space
from evolver.architectures.variation import random_genome

CIFAR = Space((3, 32, 32), 10, max_flops=30_000_000)  # small enough to compute with here
DIGITS = Space((1, 8, 8), 10, max_epochs=8, batch_sizes=(16, 32, 64), max_flops=3_000_000)
NARROW = Space((2, 5, 9), 3, feature_slots=6, classifier_slots=3, max_parameters=3_000, max_flops=60_000, max_activations=20_000)
SPACES = (CIFAR, DIGITS, NARROW)

TRAINING = Training("adamw", 0.003, 0.01, 64, 3)


def genome_of(*layers: Layer, training: Training = TRAINING) -> Genome:
    """Return a genome of some layers, all on; those after the last window layer are the classifier's."""
    windows = [number for number, layer in enumerate(layers) if not isinstance(layer, InnerProduct)]
    classifying = [number for number, layer in enumerate(layers) if isinstance(layer, InnerProduct)]
    border = classifying[0] if classifying else len(windows)
    slots = tuple(Slot(True, layer) for layer in layers)
    return Genome(slots[:border], slots[border:], training)


def convolution(
    channels: int, kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1), *, half: bool = True
) -> Convolution:
    return Convolution(channels, *kernel, *stride, "half" if half else "none")


def max_pool(kernel: tuple[int, int], stride: tuple[int, int]) -> Pooling:
    return Pooling("max", *kernel, *stride)


def average_pool(kernel: tuple[int, int], stride: tuple[int, int]) -> Pooling:
    return Pooling("average", *kernel, *stride)


def wild_genome(space: Space, rng: np.random.Generator) -> Genome:
    """Return a genome that nobody repaired: any number of slots, genes far outside their ranges."""
    drawn = random_genome(Space(space.input_shape, space.classes), rng)

    def wild(slot: Slot) -> Slot:
        layer = slot.layer
        genes = {
            name: int(rng.integers(1, 3000) if name.startswith(("channels", "reduce", "units")) else rng.integers(1, 60))
            for name in layer.__slots__
            if isinstance(getattr(layer, name), int)
        }
        if isinstance(layer, Dropout):
            return Slot(True, Dropout(float(rng.uniform(0, 0.99))))
        return Slot(
            bool(rng.random() < 0.8), type(layer)(**{name: genes.get(name, getattr(layer, name)) for name in layer.__slots__})
        )

    cut = slice(0, int(rng.integers(0, 17)))
    training = Training(drawn.training.optimizer, float(10.0 ** rng.uniform(-9, 3)), 5.0, int(rng.integers(1, 10**5)), 999)
    return Genome(tuple(map(wild, drawn.features[cut])), tuple(map(wild, drawn.classifier[cut])), training)


@pytest.fixture(params=SPACES, ids=["cifar", "digits", "narrow"])
def space(request: pytest.FixtureRequest) -> Space:
    assert isinstance(request.param, Space)
    return request.param


@pytest.fixture
def genomes() -> Callable[..., list[Genome]]:
    """Draw some random genomes of a space from a seed."""

    def draw(space: Space, count: int, *, seed: int = 0) -> list[Genome]:
        rng = np.random.default_rng(seed)
        return [random_genome(space, rng) for _ in range(count)]

    return draw
