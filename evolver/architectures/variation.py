"""Draw, cross and mutate genomes: given a generator, return a valid genome; parents stay unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from evolver.architectures.genome import LAYERS, Genome, Layer, Slot, Training
from evolver.architectures.shapes import repair
from evolver.architectures.space import (
    CLASSIFIER_KINDS,
    CLASSIFIER_ON,
    FEATURE_KINDS,
    FEATURE_ON,
    LAYER_RANGES,
    LEARNING_RATES,
    OPTIMIZERS,
    WEIGHT_DECAY,
    OneOf,
    Range,
    Space,
)

Uniforms = Iterator[float]

_SLOT_DRAWS = 2 + max(len(genes) for genes in LAYER_RANGES.values())
_TRAINING_DRAWS = len(fields(Training))

# Probabilities of the changes in a mutation; chosen by us.
GENE, TRAINING_GENE, TOGGLE, RETYPE, MOVE = 0.45, 0.15, 0.2, 0.1, 0.1
FAR = 0.25  # share of gene changes that draw a new value instead of taking a step


def random_genome(space: Space, rng: np.random.Generator) -> Genome:
    """Draw every slot and gene from its range."""
    uniforms = _uniforms(rng, (space.feature_slots + space.classifier_slots) * _SLOT_DRAWS + _TRAINING_DRAWS)
    features = tuple(_random_slot(FEATURE_KINDS, FEATURE_ON, uniforms) for _ in range(space.feature_slots))
    classifier = tuple(_random_slot(CLASSIFIER_KINDS, CLASSIFIER_ON, uniforms) for _ in range(space.classifier_slots))
    return repair(Genome(features, classifier, _random_training(space, uniforms)), space)


def crossover(a: Genome, b: Genome, space: Space, rng: np.random.Generator) -> Genome:
    """Take the slots between two borders from b, the others from a, and each training gene from either.

    The learning rate stays with its optimiser. Raises ValueError for parents with different numbers of slots.
    """
    _check(a, space)
    _check(b, space)
    slots_a, slots_b = a.features + a.classifier, b.features + b.classifier
    first, last = sorted(rng.integers(0, len(slots_a) + 1, 2).tolist())
    slots = slots_a[:first] + slots_b[first:last] + slots_a[last:]
    rates, decay, batch, epochs = (b.training if from_b else a.training for from_b in (rng.random(4) < 0.5).tolist())
    training = Training(rates.optimizer, rates.learning_rate, decay.weight_decay, batch.batch_size, epochs.epochs)
    return repair(Genome(slots[: space.feature_slots], slots[space.feature_slots :], training), space)


def mutate(genome: Genome, space: Space, rng: np.random.Generator, *, rate: float = 2.0) -> Genome:
    """Change a genome in `rate` places on average, in at least one.

    A change steps or redraws one gene of the training or of a layer that is on, switches a slot on or off, gives it another
    kind of layer, or moves it to another position in its part. Repair may undo it; then the genome equals its parent.
    Raises ValueError for a parent with another number of slots.
    """
    _check(genome, space)
    if rate < 1:
        raise ValueError(f"rate is {rate}; it must be 1 or more")
    child = genome
    for _ in range(1 + int(rng.poisson(rate - 1))):
        child = _changed(child, space, _uniforms(rng, 5 + _SLOT_DRAWS))
    return repair(child, space)


def _check(parent: Genome, space: Space) -> None:
    slots, wanted = (len(parent.features), len(parent.classifier)), (space.feature_slots, space.classifier_slots)
    if slots != wanted:
        raise ValueError(f"a parent has {slots} slots, the space {wanted}; repair the parent into the space first")


def _uniforms(rng: np.random.Generator, count: int) -> Uniforms:
    # one call for all draws, as separate calls would cost more than everything else here
    return iter(rng.random(count).tolist())


def _random_slot(kinds: OneOf, on: float, uniforms: Uniforms) -> Slot:
    return Slot(next(uniforms) < on, _random_layer(kinds.at(next(uniforms)), uniforms))


def _random_layer(op: str, uniforms: Uniforms) -> Layer:
    genes: list[Any] = [values.at(next(uniforms)) for values, _ in LAYER_RANGES[op].values()]
    return LAYERS[op](*genes)


def _random_training(space: Space, uniforms: Uniforms) -> Training:
    optimizer = OPTIMIZERS.at(next(uniforms))
    ranges = _training_ranges(space, optimizer)
    genes: dict[str, Any] = {gene: values.at(next(uniforms)) for gene, values in ranges.items() if gene != "optimizer"}
    return Training(optimizer, **genes)


def _training_ranges(space: Space, optimizer: str) -> dict[str, Range]:
    return {
        "optimizer": OPTIMIZERS,
        "learning_rate": LEARNING_RATES[optimizer],
        "weight_decay": WEIGHT_DECAY,
        "batch_size": OneOf(space.batch_sizes),
        "epochs": space.epochs,
    }


def _changed(genome: Genome, space: Space, uniforms: Uniforms) -> Genome:
    slots = genome.features + genome.classifier
    kind = next(uniforms)
    if kind < TRAINING_GENE or not slots:
        return replace(genome, training=_training_changed(genome.training, space, uniforms))
    number = _pick(range(len(slots)), uniforms)
    kind -= TRAINING_GENE
    if kind < TOGGLE:
        slots = _with(slots, number, Slot(not slots[number].on, slots[number].layer))
    elif kind < TOGGLE + RETYPE:
        kinds = FEATURE_KINDS if number < space.feature_slots else CLASSIFIER_KINDS
        slots = _with(slots, number, Slot(True, _random_layer(kinds.near(slots[number].layer.op, next(uniforms)), uniforms)))
    elif kind < TOGGLE + RETYPE + MOVE:
        first, last = (0, space.feature_slots) if number < space.feature_slots else (space.feature_slots, len(slots))
        slots = _moved(slots, number, _pick(range(first, last), uniforms))
    else:
        on = [number for number, slot in enumerate(slots) if slot.on] or [number]
        number = _pick(on, uniforms)
        slots = _with(slots, number, Slot(True, _layer_changed(slots[number].layer, uniforms)))
    return Genome(slots[: space.feature_slots], slots[space.feature_slots :], genome.training)


def _layer_changed(layer: Layer, uniforms: Uniforms) -> Layer:
    ranges = LAYER_RANGES[layer.op]
    gene = _pick(list(ranges), uniforms)
    return replace(layer, **{gene: _gene_changed(ranges[gene][0], getattr(layer, gene), uniforms)})


def _training_changed(training: Training, space: Space, uniforms: Uniforms) -> Training:
    ranges = _training_ranges(space, training.optimizer)
    gene = _pick([name for name in ranges if name != "epochs" or space.min_epochs < space.max_epochs], uniforms)
    changed = {gene: _gene_changed(ranges[gene], getattr(training, gene), uniforms)}
    if gene == "optimizer":
        changed["learning_rate"] = LEARNING_RATES[changed[gene]].at(next(uniforms))
    return replace(training, **changed)


def _gene_changed(values: Range, value: Any, uniforms: Uniforms) -> Any:
    far = next(uniforms) < FAR
    return values.at(next(uniforms)) if far else values.near(value, next(uniforms))


def _pick(choices: Any, uniforms: Uniforms) -> Any:
    return choices[int(next(uniforms) * len(choices))]


def _with(slots: tuple[Slot, ...], number: int, slot: Slot) -> tuple[Slot, ...]:
    return (*slots[:number], slot, *slots[number + 1 :])


def _moved(slots: tuple[Slot, ...], number: int, to: int) -> tuple[Slot, ...]:
    others = slots[:number] + slots[number + 1 :]
    return (*others[:to], slots[number], *others[to:])
