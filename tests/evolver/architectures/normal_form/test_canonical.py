"""The normal form: what is the same function has one key, and one key is one function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from evolver.architectures.genome import Activation, Dropout, Genome, Inception, InnerProduct, Layer, Pooling, Slot
from evolver.architectures.normal_form.canonical import canonical, canonical_key, drawing
from evolver.architectures.shapes import describe
from evolver.architectures.space import Space
from evolver.training.network import build
from tests.evolver.conftest import CIFAR, DIGITS, TRAINING, average_pool, convolution, genome_of, max_pool

RELU, LEAKY, ELU = Activation("relu"), Activation("leaky relu"), Activation("elu")
TANH, SIGMOID = Activation("tanh"), Activation("sigmoid")


def difference(a: Genome, b: Genome, space: Space, *, seed: int = 0) -> float:
    """Return the largest difference of two networks' logits under a's weights, as a share of their spread over images."""
    torch.manual_seed(seed)
    one, other = (build(genome, space).double().eval() for genome in (a, b))
    with torch.no_grad():
        for weights, copied in zip(one.parameters(), other.parameters(), strict=True):
            weights.copy_(torch.randn_like(weights) * weights[0].numel() ** -0.5 * 1.4)  # biases too: they must not be 0
            copied.copy_(weights.reshape(copied.shape))
        images = torch.randn(5, *space.input_shape, dtype=torch.float64)
        logits, others = one(images), other(images)
    return float((logits - others).abs().max() / logits.std(dim=0).max().clamp_min(1e-12))


def test_the_normal_form_computes_the_same_with_the_same_weights(space: Space, genomes: Callable[..., list[Genome]]) -> None:
    changed = 0
    for number, genome in enumerate(genomes(space, 25, seed=5)):
        form = canonical(genome, space)
        assert difference(genome, form, space, seed=number) <= 1e-6, genome.to_json()
        assert describe(form, space).parameters == describe(genome, space).parameters
        assert describe(form, space).flops <= describe(genome, space).flops
        assert canonical(form, space) == form
        changed += [slot.layer for slot in form.features + form.classifier] != list(genome.layers())
    assert changed > 6


C8, C4 = convolution(8), convolution(4, (2, 3), (1, 2), half=False)
SAME: list[tuple[Space, list[Layer], list[Layer]]] = [
    (DIGITS, [C8, RELU, RELU, C4], [C8, RELU, C4]),
    (DIGITS, [C8, RELU, Dropout(0.2), LEAKY, ELU, C4], [C8, RELU, Dropout(0.2), C4]),
    (DIGITS, [C8, LEAKY, RELU, C4], [C8, RELU, C4]),
    (DIGITS, [C8, ELU, Dropout(0.2), RELU, C4], [C8, RELU, Dropout(0.2), C4]),
    (DIGITS, [C8, TANH, RELU], [C8, RELU, TANH]),
    (DIGITS, [C8, SIGMOID, max_pool((2, 2), (2, 2)), RELU], [C8, max_pool((2, 2), (2, 2)), SIGMOID]),
    (DIGITS, [Inception(4, 4, 4, 4, 4, 4), RELU], [Inception(4, 4, 4, 4, 4, 4)]),
    (DIGITS, [C8, Dropout(0.0), C4], [C8, C4]),
    (DIGITS, [C8, Dropout(0.5), Dropout(0.2), C4], [C8, Dropout(0.6), C4]),
    (DIGITS, [C8, Dropout(0.5), RELU, Dropout(0.2), C4], [C8, RELU, Dropout(0.6), C4]),
    (DIGITS, [max_pool((1, 1), (1, 1)), C8, average_pool((1, 1), (1, 1))], [C8]),
    (CIFAR, [max_pool((3, 2), (2, 2)), max_pool((2, 2), (1, 2)), C8], [max_pool((5, 4), (2, 4)), C8]),
    (CIFAR, [max_pool((2, 2), (2, 2)), RELU, max_pool((2, 2), (2, 2)), C8], [max_pool((4, 4), (4, 4)), RELU, C8]),
    (CIFAR, [average_pool((2, 3), (2, 3)), average_pool((2, 2), (1, 1)), C8], [average_pool((4, 6), (2, 3)), C8]),
    (CIFAR, [average_pool((3, 3), (1, 2)), max_pool((1, 1), (3, 2)), C8], [average_pool((3, 3), (3, 4)), C8]),
    (CIFAR, [convolution(8), average_pool((1, 1), (2, 3))], [convolution(8, stride=(2, 3))]),
    (
        CIFAR,
        [convolution(8), TANH, Dropout(0.1), average_pool((1, 1), (2, 3))],
        [convolution(8, stride=(2, 3)), TANH, Dropout(0.1)],
    ),
    (
        CIFAR,
        [C8, RELU, convolution(4, (1, 1), (2, 2)), RELU],
        [convolution(8, stride=(2, 2)), RELU, convolution(4, (1, 1), half=False), RELU],
    ),
    (CIFAR, [max_pool((1, 1), (2, 3)), convolution(4, (1, 1))], [convolution(4, (1, 1), (2, 3), half=False)]),
    (CIFAR, [max_pool((1, 1), (2, 1)), convolution(4, (1, 3), (1, 2))], [convolution(4, (1, 3), (2, 2))]),
    (CIFAR, [convolution(8, (2, 1))], [convolution(8, (2, 1), half=False)]),
    (DIGITS, [convolution(8, (8, 8), (3, 2), half=False)], [InnerProduct(8)]),
    (
        DIGITS,
        [convolution(8, (8, 8), half=False), RELU, convolution(4, (1, 1)), TANH],
        [InnerProduct(8), RELU, InnerProduct(4), TANH],
    ),
    (DIGITS, [max_pool((8, 8), (3, 3)), max_pool((1, 1), (2, 2))], [max_pool((8, 8), (1, 1))]),
    (
        DIGITS,
        [max_pool((4, 4), (3, 3)), convolution(8, (3, 3), (3, 3))],
        [max_pool((4, 4), (3, 3)), convolution(8, (3, 3), (2, 2))],
    ),
]


@pytest.mark.parametrize(("space", "layers", "plainer"), SAME, ids=range(len(SAME)))
def test_rewrites_worked_by_hand(space: Space, layers: list[Layer], plainer: list[Layer]) -> None:
    form = canonical(genome_of(*layers), space)
    assert list(form.layers()) == plainer
    assert difference(genome_of(*layers), form, space) <= 1e-6
    assert canonical_key(genome_of(*layers), space) == canonical_key(genome_of(*plainer), space)


DIFFERENT: list[tuple[Space, list[Layer], list[Layer]]] = [
    (DIGITS, [C8, TANH, TANH], [C8, TANH]),
    (DIGITS, [C8, LEAKY, LEAKY], [C8, LEAKY]),
    (DIGITS, [C8, SIGMOID, SIGMOID], [C8, SIGMOID]),
    (DIGITS, [C8, ELU, LEAKY], [C8, ELU]),
    (DIGITS, [C8, RELU], [C8]),
    (DIGITS, [C8, RELU, average_pool((2, 2), (2, 2))], [C8, average_pool((2, 2), (2, 2)), RELU]),
    (CIFAR, [max_pool((2, 2), (3, 3)), max_pool((2, 2), (1, 1))], [max_pool((5, 5), (3, 3))]),
    (CIFAR, [average_pool((3, 3), (2, 2)), average_pool((2, 2), (1, 1))], [average_pool((5, 5), (2, 2))]),
    (CIFAR, [average_pool((2, 2), (2, 2)), max_pool((2, 2), (2, 2))], [average_pool((4, 4), (4, 4))]),
    (DIGITS, [max_pool((1, 1), (7, 7))], [max_pool((1, 1), (6, 6))]),
]


@pytest.mark.parametrize(("space", "layers", "others"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_what_differs_has_two_keys(space: Space, layers: list[Layer], others: list[Layer]) -> None:
    assert canonical_key(genome_of(*layers), space) != canonical_key(genome_of(*others), space)
    # and the comparison that the tests above rest on can tell
    assert difference(genome_of(*layers), genome_of(*others), space) > 1e-3


def test_the_key_holds_training_classes_and_images_and_not_what_is_off() -> None:
    genome = genome_of(C8, RELU)
    keys = {
        canonical_key(genome, DIGITS),
        canonical_key(replace(genome, training=replace(TRAINING, epochs=2)), DIGITS),
        canonical_key(genome, replace(DIGITS, classes=11)),
        canonical_key(genome, replace(DIGITS, input_shape=(1, 8, 9))),
    }
    assert len(keys) == 4
    assert canonical_key(genome_of(Dropout(0.3)), DIGITS) != canonical_key(genome_of(Dropout(0.4)), DIGITS)
    off = replace(
        genome, features=(Slot(False, C4), *genome.features, Slot(False, TANH)), classifier=(Slot(False, InnerProduct(20)),)
    )
    assert canonical_key(off, DIGITS) == canonical_key(genome, DIGITS)


def disguised(genome: Genome, space: Space, rng: np.random.Generator) -> Genome:
    """Return a genome that computes the same by construction: layers that do nothing are put in, some are split in two."""
    slots = list(genome.features)
    for _ in range(6):
        at = int(rng.integers(0, len(slots) + 1))
        before = next((slot.layer for slot in reversed(slots[:at]) if slot.on), None)
        match int(rng.integers(0, 5)):
            case 0:
                slots.insert(at, Slot(False, convolution(9)))
            case 1:
                slots.insert(at, Slot(True, average_pool((1, 1), (1, 1))))
            case 2:
                slots.insert(at, Slot(True, Dropout(0.0)))
            case 3 if isinstance(before, Inception) or before in (RELU, SIGMOID):
                slots.insert(at, Slot(True, (RELU, LEAKY, ELU)[int(rng.integers(3))]))
            case 4:
                pools = [number for number, slot in enumerate(slots) if isinstance(slot.layer, Pooling) and slot.on]
                if pools:
                    pool = slots[pools[0]].layer
                    assert isinstance(pool, Pooling)
                    strides = (Pooling("average", 1, 1, pool.stride_h, pool.stride_w), replace(pool, stride_h=1, stride_w=1))
                    slots[pools[0] : pools[0] + 1] = [Slot(True, strides[1]), Slot(True, strides[0])]
    return replace(genome, features=tuple(slots))


def test_disguised_genomes_are_found_out(space: Space, genomes: Callable[..., list[Genome]]) -> None:
    rng = np.random.default_rng(12)
    for genome in genomes(space, 100, seed=6):
        copy = disguised(genome, space, rng)
        assert canonical_key(copy, space) == canonical_key(genome, space), (genome.to_json(), copy.to_json())


def test_one_key_is_one_function() -> None:
    """Among all short chains of a few layers, those with one key must compute the same, and many must share one."""
    alphabet: list[Layer] = [
        RELU, TANH, LEAKY, max_pool((1, 1), (2, 1)), max_pool((2, 1), (2, 1)), average_pool((2, 2), (2, 2)),
        convolution(4, (1, 1), (2, 1)), convolution(4, (2, 3)), Dropout(0.0),
    ]  # fmt: skip
    space = Space((2, 6, 5), 3)
    rng = np.random.default_rng(13)
    groups: dict[str, list[Genome]] = defaultdict(list)
    for _ in range(1_500):
        drawn = genome_of(*(alphabet[number] for number in rng.integers(0, len(alphabet), 5)))
        try:
            describe(drawn, space)
        except ValueError:
            continue
        groups[canonical_key(drawn, space)].append(drawn)
    pairs = [
        (group[0], other) for group in groups.values() for other in group[1:] if list(other.layers()) != list(group[0].layers())
    ]
    assert len(pairs) > 200
    for a, b in pairs[:250]:
        assert difference(a, b, space) <= 1e-6, (a.to_json(), b.to_json())


def test_gradients_are_the_same_too() -> None:
    genome = genome_of(C8, LEAKY, RELU, max_pool((2, 2), (2, 2)), max_pool((2, 2), (2, 2)), RELU, InnerProduct(16), TANH)
    form = canonical(genome, DIGITS)
    assert len(list(form.layers())) < len(list(genome.layers()))
    torch.manual_seed(1)
    one, other = build(genome, DIGITS).double(), build(form, DIGITS).double()
    other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
    images = torch.randn(7, *DIGITS.input_shape, dtype=torch.float64)
    for network in (one, other):
        torch.nn.functional.cross_entropy(network(images), torch.arange(7)).backward()
    for weights, others in zip(one.parameters(), other.parameters(), strict=True):
        assert weights.grad is not None
        assert weights.grad.abs().max() > 1e-9
        torch.testing.assert_close(weights.grad, others.grad, atol=1e-12, rtol=1e-9)


def test_a_drawing_has_the_facts_of_each_kind_of_layer() -> None:
    genome = genome_of(
        convolution(16, (3, 5), (2, 1)),
        RELU,
        Inception(4, 5, 6, 7, 8, 9),
        average_pool((2, 2), (2, 2)),
        Dropout(0.25),
        InnerProduct(20),
    )
    assert drawing(describe(canonical(genome, DIGITS), DIGITS)) == [
        {
            "op": "convolution",
            "kernel": [3, 5],
            "stride": [2, 1],
            "padding": "half",
            "channels": 16,
            "output": [16, 4, 8],
            "parameters": 256,
        },
        {"op": "activation", "kind": "relu", "output": [16, 4, 8], "parameters": 0},
        {
            "op": "inception",
            "channels": 27,
            "branches": {
                "channels_1x1": 4,
                "reduce_3x3": 5,
                "channels_3x3": 6,
                "reduce_5x5": 7,
                "channels_5x5": 8,
                "channels_pool": 9,
            },
            "output": [27, 4, 8],
            "parameters": 17 * 25 + 46 * 6 + 176 * 8,
        },
        {"op": "pooling", "kind": "average", "kernel": [2, 2], "stride": [2, 2], "output": [27, 2, 4], "parameters": 0},
        {"op": "dropout", "rate": 0.25, "output": [27, 2, 4], "parameters": 0},
        {"op": "inner product", "units": 20, "output": [20], "parameters": 20 * (27 * 8 + 1)},
        {"op": "inner product", "units": 10, "output": [10], "parameters": 210},
    ]
