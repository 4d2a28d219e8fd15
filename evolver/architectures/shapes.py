"""Propagate shapes through a genome, count parameters and FLOPs, and repair misfits, all in integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from evolver.architectures.genome import (
    Activation,
    Convolution,
    Dropout,
    Genome,
    Inception,
    InnerProduct,
    Layer,
    Pooling,
    Slot,
    Training,
)
from evolver.architectures.space import LAYER_RANGES, LEARNING_RATES, OPTIMIZERS, WEIGHT_DECAY, Integer, OneOf, Space

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height, width; the output of an inner product is (units, 1, 1)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One layer that is on, with its output and its cost."""

    layer: Layer
    output: Shape
    parameters: int
    flops: int
    kept: int
    """Number of values that training keeps per image: the outputs, including those inside an inception layer."""


@dataclass(frozen=True, slots=True)
class Description:
    """The layers that are on; the last is the inner product with one number per class.

    A multiply-add of convolutions and inner products counts as two FLOPs, for one image, as in
    `torch.utils.flop_counter`; biases, pooling and activations count as 0.
    """

    layers: tuple[Placed, ...]
    parameters: int
    flops: int
    kept: int


def half(kernel: int) -> int:
    """Return the zeros on each side of an axis under `half` padding."""
    return (kernel - 1) // 2


def steps(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return the number of positions of a window along an axis; 0 or less if it does not fit."""
    return (size + 2 * padding - kernel) // stride + 1 if kernel <= size + 2 * padding else 0


def place(layer: Layer, shape: Shape) -> Placed:
    """Append a layer to an output of some shape. Raises ValueError if its window does not fit."""
    channels, height, width = shape
    if isinstance(layer, Activation | Dropout):
        return Placed(layer, shape, 0, 0, channels * height * width)
    if isinstance(layer, InnerProduct):
        inputs = channels * height * width
        return Placed(layer, (layer.units, 1, 1), (inputs + 1) * layer.units, 2 * inputs * layer.units, layer.units)
    if isinstance(layer, Inception):
        return _place_inception(layer, shape)
    padded = isinstance(layer, Convolution) and layer.padding == "half"
    rows = steps(height, layer.kernel_h, layer.stride_h, half(layer.kernel_h) if padded else 0)
    columns = steps(width, layer.kernel_w, layer.stride_w, half(layer.kernel_w) if padded else 0)
    if rows < 1 or columns < 1:
        raise ValueError(f"a {layer.op} window of {layer.kernel_h}x{layer.kernel_w} does not fit into {height}x{width}")
    if isinstance(layer, Pooling):
        return Placed(layer, (channels, rows, columns), 0, 0, channels * rows * columns)
    window = channels * layer.kernel_h * layer.kernel_w
    outputs = layer.channels * rows * columns
    return Placed(layer, (layer.channels, rows, columns), (window + 1) * layer.channels, 2 * window * outputs, outputs)


def _place_inception(layer: Inception, shape: Shape) -> Placed:
    channels, height, width = shape
    weights = (
        channels * (layer.channels_1x1 + layer.reduce_3x3 + layer.reduce_5x5 + layer.channels_pool)
        + 9 * layer.reduce_3x3 * layer.channels_3x3
        + 25 * layer.reduce_5x5 * layer.channels_5x5
    )
    inside = layer.reduce_3x3 + layer.reduce_5x5 + layer.channels
    area = height * width
    return Placed(
        layer, (layer.channels, height, width), weights + inside, 2 * weights * area, (inside + layer.channels + channels) * area
    )


def describe(genome: Genome, space: Space) -> Description:
    """Return the layers with their output shapes, and totals. Raises ValueError if a window does not fit."""
    shape = space.input_shape
    layers = []
    for layer in (*genome.layers(), InnerProduct(space.classes)):
        placed = place(layer, shape)
        layers.append(placed)
        shape = placed.output
    return Description(
        tuple(layers),
        sum(placed.parameters for placed in layers),
        sum(placed.flops for placed in layers),
        sum(placed.kept for placed in layers),
    )


def repair(genome: Genome, space: Space) -> Genome:
    """Return the nearest genome that is valid in a space; a valid one is returned unchanged.

    Excess slots are cut, missing ones added as off, genes are brought into their ranges, and windows into their inputs.
    Then, while a limit is exceeded, all layers are narrowed equally; when none can be narrowed, the costliest is switched off.
    """
    training = _training_in_range(genome.training, space)
    features = _fitted(_counted(genome.features, space.feature_slots, Slot(False, Activation("relu"))), space.input_shape)
    classifier = tuple(map(_in_range, _counted(genome.classifier, space.classifier_slots, Slot(False, Activation("relu")))))
    return _within_limits(Genome(features, classifier, training), space)


def _counted(slots: tuple[Slot, ...], count: int, filler: Slot) -> tuple[Slot, ...]:
    return slots[:count] + (filler,) * (count - len(slots))


def _bounded(op: str) -> tuple[tuple[str, ...], tuple[tuple[float, float], ...]]:
    """Return the numeric genes of a kind of layer, and the ranges of each."""
    genes = [(gene, values) for gene, (values, _) in LAYER_RANGES[op].items()]
    lows_and_highs = [
        (gene, (min(values.values), max(values.values)) if isinstance(values, OneOf) else (values.low, values.high))
        for gene, values in genes
        if not isinstance(values, OneOf) or not isinstance(values.values[0], str)
    ]
    return tuple(gene for gene, _ in lows_and_highs), tuple(bounds for _, bounds in lows_and_highs)


_BOUNDED = {op: _bounded(op) for op in LAYER_RANGES}


def _in_range(slot: Slot) -> Slot:
    layer = slot.layer
    genes, bounds = _BOUNDED[layer.op]
    changed: dict[str, Any] = {}
    for gene, (low, high) in zip(genes, bounds, strict=True):  # repair spends most of its time here
        value = getattr(layer, gene)
        if not low <= value <= high:
            changed[gene] = low if value < low else high
    return Slot(slot.on, replace(layer, **changed)) if changed else slot


def _training_in_range(training: Training, space: Space) -> Training:
    sizes = [size for size in space.batch_sizes if size <= training.batch_size]
    return Training(
        optimizer=OPTIMIZERS.clamp(training.optimizer),
        learning_rate=LEARNING_RATES[training.optimizer].clamp(training.learning_rate),
        weight_decay=WEIGHT_DECAY.clamp(training.weight_decay),
        batch_size=max(sizes, default=min(space.batch_sizes)),
        epochs=space.epochs.clamp(training.epochs),
    )


def _fitted(slots: tuple[Slot, ...], shape: Shape) -> tuple[Slot, ...]:
    """Bring the genes of feature slots into range, and fit the windows of those that are on to their input shapes."""
    fitted = []
    for slot in slots:
        inside = _in_range(slot)
        if inside.on:
            layer = _window_fitted(inside.layer, shape)
            inside = inside if layer is inside.layer else Slot(True, layer)
            shape = place(layer, shape).output
        fitted.append(inside)
    return tuple(fitted)


def _window_fitted(layer: Layer, shape: Shape) -> Layer:
    if not isinstance(layer, Convolution | Pooling):
        return layer
    _, height, width = shape
    if isinstance(layer, Convolution) and layer.padding == "half":
        # a wider kernel would have weights that only meet padding
        height, width = 2 * height - 1, 2 * width - 1
    if layer.kernel_h <= height and layer.kernel_w <= width:
        return layer
    return replace(layer, kernel_h=min(layer.kernel_h, height), kernel_w=min(layer.kernel_w, width))


def _within_limits(genome: Genome, space: Space) -> Genome:
    while True:
        description = describe(genome, space)
        excess = max(
            math.sqrt(description.parameters / space.max_parameters),
            math.sqrt(description.flops / space.max_flops),
            description.kept * genome.training.batch_size / space.max_activations,
        )
        if excess <= 1:
            return genome
        smaller = [size for size in space.batch_sizes if size < genome.training.batch_size]
        if smaller and description.kept * genome.training.batch_size > space.max_activations:
            genome = replace(genome, training=replace(genome.training, batch_size=max(smaller)))
            continue
        narrower = _narrowed(genome, 1 / min(2.0, max(1.05, excess)))
        genome = narrower if narrower != genome else _without_costliest(genome, description)


_WIDTHS = {
    op: tuple(
        (gene, values)
        for gene, (values, _) in ranges.items()
        if isinstance(values, Integer) and gene.startswith(("channels", "reduce", "units"))
    )
    for op, ranges in LAYER_RANGES.items()
}


def _narrowed(genome: Genome, factor: float) -> Genome:
    def narrow(slot: Slot) -> Slot:
        if not slot.on or not _WIDTHS[slot.layer.op]:
            return slot
        widths: dict[str, Any] = {
            gene: values.clamp(int(getattr(slot.layer, gene) * factor)) for gene, values in _WIDTHS[slot.layer.op]
        }
        return Slot(True, replace(slot.layer, **widths))

    return Genome(tuple(map(narrow, genome.features)), tuple(map(narrow, genome.classifier)), genome.training)


def _without_costliest(genome: Genome, description: Description) -> Genome:
    """Switch off the layer with the most FLOPs or, if none has any, the largest output; at least one is on."""
    placed = description.layers[:-1]
    costliest = max(range(len(placed)), key=lambda number: (placed[number].flops, placed[number].kept))
    numbers = [
        (part, number)
        for part, slots in ((0, genome.features), (1, genome.classifier))
        for number, slot in enumerate(slots)
        if slot.on
    ]
    part, number = numbers[costliest]
    slots = [list(genome.features), list(genome.classifier)]
    slots[part][number] = Slot(False, slots[part][number].layer)
    return Genome(tuple(slots[0]), tuple(slots[1]), genome.training)
