"""Describe genomes by numbers, similar for genomes of similar accuracy, for the surrogate of a search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from evolver.architectures.genome import Activation, Convolution, Dropout, Genome, Inception, InnerProduct, Layer, Pooling
from evolver.architectures.normal_form.canonical import canonical
from evolver.architectures.shapes import Placed, describe
from evolver.architectures.space import LEARNING_RATES, Space

_ACTIVATIONS = ("relu", "leaky relu", "elu", "tanh", "sigmoid")


def features(genome: Genome, space: Space, /) -> Sequence[float]:
    """Return 28 numbers describing the normal form and the training genes, each of the order of 1 to 10."""
    form = describe(canonical(genome, space), space)
    layers = [placed.layer for placed in form.layers]
    windows = [placed for placed in form.layers if isinstance(placed.layer, Convolution | Inception | Pooling)]
    last = windows[-1].output if windows else space.input_shape
    training = genome.training
    rates = LEARNING_RATES[training.optimizer]
    share = math.log(training.learning_rate / rates.low) / math.log(rates.high / rates.low)
    return (
        math.log(form.parameters), math.log(form.flops), float(len(layers)),
        *_counted(form.layers, Convolution), *_counted(form.layers, Inception), *_counted(form.layers, InnerProduct),
        *_pooled(layers),
        math.log(last[0]), math.log(last[1] * last[2]), _first_kernel(layers),
        *(float(sum(isinstance(layer, Activation) and layer.kind == kind for layer in layers)) for kind in _ACTIVATIONS),
        float(isinstance(layers[-2], Activation)) if len(layers) > 1 else 0.0,
        math.fsum(layer.rate for layer in layers if isinstance(layer, Dropout)), _shallow(layers),
        float(training.optimizer == "adamw"), share, share**2, math.log10(training.weight_decay), math.log2(training.batch_size),
        float(training.epochs),
    )  # fmt: skip


def _counted(placed: Sequence[Placed], kind: type[Layer]) -> tuple[float, float]:
    """Return the number of layers of a kind, and the logarithm of their mean width."""
    widths = [own.output[0] for own in placed if isinstance(own.layer, kind)]
    return float(len(widths)), math.log(sum(widths) / len(widths)) if widths else 0.0


def _pooled(layers: Sequence[Layer]) -> tuple[float, float]:
    """Return the number of pools, and the logarithm of the product of all strides."""
    strides = [layer.stride_h * layer.stride_w for layer in layers if isinstance(layer, Convolution | Pooling)]
    return float(sum(isinstance(layer, Pooling) for layer in layers)), math.log(math.prod(strides))


def _first_kernel(layers: Sequence[Layer]) -> float:
    return next((math.sqrt(layer.kernel_h * layer.kernel_w) for layer in layers if isinstance(layer, Convolution)), 0.0)


def _shallow(layers: Sequence[Layer]) -> float:
    """Return how many layers with weights follow another without an activation in between."""
    weighted = [layer for layer in layers if not isinstance(layer, Pooling | Dropout)]
    return float(sum(not isinstance(a, Activation | Inception) and not isinstance(b, Activation)
                     for a, b in itertools.pairwise(weighted)))  # fmt: skip
