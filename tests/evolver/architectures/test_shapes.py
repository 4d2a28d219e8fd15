"""Shapes, counts and repair, against PyTorch and by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evolver.architectures.genome import Activation, Convolution, Dropout, Genome, Inception, InnerProduct, Pooling
from evolver.architectures.shapes import describe, repair
from evolver.architectures.space import BATCH_SIZES, LAYER_RANGES, LEARNING_RATES, OneOf, Space
from evolver.training.network import build
from tests.evolver.conftest import CIFAR, DIGITS, NARROW, average_pool, convolution, genome_of, max_pool, wild_genome


def torch_counts(genome: Genome, space: Space) -> tuple[int, int, list[tuple[int, ...]]]:
    """Return parameters, FLOPs and the output shape of each layer as PyTorch counts them, on its device without memory."""
    with torch.device("meta"):
        network = build(genome, space)
        values = torch.empty(1, *space.input_shape)
        shapes = []
        with FlopCounterMode(display=False) as counter:
            for module in network:
                values = module(values)
                if not isinstance(module, torch.nn.Flatten):
                    shapes.append(tuple(values.shape[1:]))
    return sum(weights.numel() for weights in network.parameters()), counter.get_total_flops(), shapes


def assert_counts_are_torchs(genome: Genome, space: Space) -> None:
    description = describe(genome, space)
    parameters, flops, shapes = torch_counts(genome, space)
    assert (description.parameters, description.flops) == (parameters, flops), genome.to_json()
    flat = [tuple(size for size in shape) if len(shape) == 3 else (*shape, 1, 1) for shape in shapes]
    ours = [placed.output for placed in description.layers]
    flattened = [len(shape) for shape in shapes].index(1)
    # an activation behind the flattening keeps our three numbers, and PyTorch's one
    assert ours[:flattened] == flat[:flattened], genome.to_json()
    assert [np.prod(shape) for shape in ours] == [np.prod(shape) for shape in flat], genome.to_json()


def assert_valid(genome: Genome, space: Space) -> None:
    """Check what a repaired genome promises, without the code that repairs."""
    assert (len(genome.features), len(genome.classifier)) == (space.feature_slots, space.classifier_slots)
    for slot in genome.features + genome.classifier:
        for gene, (values, _) in LAYER_RANGES[slot.layer.op].items():
            value = getattr(slot.layer, gene)
            assert value in values.values if isinstance(values, OneOf) else values.low <= value <= values.high, genome.to_json()
    rates = LEARNING_RATES[genome.training.optimizer]
    assert rates.low <= genome.training.learning_rate <= rates.high
    assert 1 <= genome.training.epochs <= space.max_epochs
    assert genome.training.batch_size in space.batch_sizes
    description = describe(genome, space)
    assert description.parameters <= space.max_parameters
    assert description.flops <= space.max_flops
    assert description.kept * genome.training.batch_size <= space.max_activations
    assert all(min(placed.output) >= 1 for placed in description.layers)
    assert description.layers[-1].output == (space.classes, 1, 1)


def test_counts_worked_by_hand() -> None:
    genome = genome_of(
        convolution(16, (3, 5), (2, 1)),  # 3x32x32 to 16x16x32
        Inception(4, 5, 6, 7, 8, 9),  # to 27x16x32
        Activation("relu"),
        max_pool((2, 3), (2, 3)),  # to 27x8x10
        Dropout(0.5),
        InnerProduct(20),
    )
    layers = describe(genome, CIFAR).layers
    assert [placed.output for placed in layers] == [
        (16, 16, 32), (27, 16, 32), (27, 16, 32), (27, 8, 10), (27, 8, 10), (20, 1, 1), (10, 1, 1),
    ]  # fmt: skip
    inception = (16 + 1) * (4 + 5 + 7 + 9) + (9 * 5 + 1) * 6 + (25 * 7 + 1) * 8
    assert [placed.parameters for placed in layers] == [16 * (3 * 15 + 1), inception, 0, 0, 0, (27 * 80 + 1) * 20, 21 * 10]
    multiplied = 16 * (4 + 5 + 7 + 9) + 9 * 5 * 6 + 25 * 7 * 8
    assert [placed.flops for placed in layers] == [
        2 * 45 * 16 * 512,
        2 * 512 * multiplied,
        0,
        0,
        0,
        2 * 27 * 80 * 20,
        2 * 20 * 10,
    ]


def test_a_window_that_does_not_fit_is_refused_and_repaired() -> None:
    genome = genome_of(max_pool((4, 4), (3, 3)), average_pool((4, 2), (1, 1)))  # 8x8 to 2x2
    with pytest.raises(ValueError, match="a pooling window of 4x2 does not fit into 2x2"):
        describe(genome, DIGITS)
    fitted = repair(genome, DIGITS)
    assert list(fitted.layers()) == [max_pool((4, 4), (3, 3)), average_pool((2, 2), (1, 1))]


def test_repair_leaves_no_kernel_that_meets_only_padding() -> None:
    genome = genome_of(max_pool((4, 4), (3, 3)), convolution(8, (7, 3)))
    assert list(repair(genome, DIGITS).layers())[1] == convolution(8, (3, 3))


def test_repair_makes_any_genome_valid_and_leaves_valid_ones_alone(space: Space) -> None:
    rng = np.random.default_rng(7)
    for number in range(1_000):
        repaired = repair(wild_genome(space, rng), space)
        assert_valid(repaired, space)
        assert repair(repaired, space) == repaired, number


def test_a_limit_narrows_before_it_switches_off() -> None:
    space = Space((3, 32, 32), 10, max_parameters=60_000)
    genome = genome_of(convolution(256), Activation("relu"), convolution(256), max_pool((4, 4), (3, 3)))
    layers = list(repair(genome, space).layers())
    assert [layer.op for layer in layers] == [layer.op for layer in genome.layers()]
    assert isinstance(layers[0], Convolution)
    assert 8 <= layers[0].channels < 60
    tight = Space((3, 32, 32), 10, max_flops=100_000)  # 8 channels of 3x3 on 3x32x32 are 442,368
    assert list(repair(genome, tight).layers()) == [Activation("relu"), max_pool((4, 4), (3, 3))]


def test_a_batch_shrinks_to_what_training_may_keep() -> None:
    space = Space((3, 32, 32), 10, batch_sizes=BATCH_SIZES, max_activations=2_100_000)
    genome = genome_of(convolution(64), Activation("relu"))
    repaired = repair(genome, space)
    assert list(repaired.layers()) == list(genome.layers())
    assert repaired.training.batch_size == 16  # 2 layers of 64x32x32 and 10 logits are 131,082 numbers an image


@pytest.mark.parametrize("seed", [0, 1])
def test_counts_and_shapes_are_pytorchs(seed: int, space: Space, genomes: Callable[..., list[Genome]]) -> None:
    for genome in genomes(space, 30, seed=seed):
        assert_counts_are_torchs(genome, space)


def test_the_comparison_with_pytorch_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        untouched = build(genome_of(convolution(8, (2, 2)), Activation("relu")), NARROW)
    genome = genome_of(convolution(8, (2, 2)), Activation("relu"))
    assert_counts_are_torchs(genome, NARROW)
    monkeypatch.setattr(
        "evolver.architectures.shapes.steps", lambda size, kernel, stride, padding: (size + 2 * padding) // stride
    )
    monkeypatch.setattr("tests.evolver.architectures.test_shapes.build", lambda genome, space: untouched)
    with pytest.raises(AssertionError):
        assert_counts_are_torchs(genome, NARROW)


def test_five_thousand_genomes_are_described_and_repaired_in_a_second(genomes: Callable[..., list[Genome]]) -> None:
    drawn = genomes(CIFAR, 500)
    rates = []
    for _ in range(5):  # the best of five, in CPU time: other work on the machine must not decide
        start = time.process_time()
        for genome in drawn:
            describe(repair(genome, CIFAR), CIFAR)
        rates.append(len(drawn) / (time.process_time() - start))
    assert max(rates) >= 5_000, rates


def test_pooling_is_never_padded() -> None:
    assert describe(genome_of(Pooling("average", 3, 3, 1, 1)), DIGITS).layers[0].output == (1, 6, 6)
