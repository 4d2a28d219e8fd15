"""What only a GPU can show of training a candidate: its rate, that the host waits once an epoch, and memory that runs out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evolver.architectures.genome import Activation, Genome, InnerProduct, Layer, Training
from evolver.architectures.shapes import describe
from evolver.architectures.space import Space
from evolver.jobs import Job, Settings
from tests.evolver.conftest import convolution, genome_of, max_pool

pytestmark = pytest.mark.gpu

SPACE = Space((3, 32, 32), 10, max_flops=2_000_000_000)
RECIPE = Training("adamw", 2e-3, 1e-4, 512, 3)  # SGD at a rate of 0.05 diverges for some seeds


def plain(width: int) -> Genome:
    """Three stages of two 3x3 convolutions each."""
    layers: list[Layer] = []
    for stage in range(3):
        for _ in range(2):
            layers += [convolution(width * 2**stage), Activation("relu")]
        layers.append(max_pool((2, 2), (2, 2)))
    return genome_of(*layers, InnerProduct(128), Activation("relu"), training=RECIPE)


@pytest.fixture(scope="module")
def images(results: dict[str, Any]) -> Callable[[int], Any]:
    """Images whose class is where a square of light stands: any network of convolutions learns it."""
    import torch

    from evolver.training.training import image_set

    def make(count: int) -> Any:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 10, count)
        pixels = rng.integers(0, 200, (count, 3, 32, 32), dtype=np.uint8)
        for label in range(10):
            pixels[labels == label, :, label * 3 : label * 3 + 4, 8:24] = 255
        return image_set(pixels, labels, (0.4,) * 3, (0.25,) * 3, torch.device("cuda"))

    return make


def test_rates_of_three_reference_genomes(results: dict[str, Any], images: Callable[[int], Any]) -> None:
    import torch

    from evolver.training.network import build
    from evolver.training.training import train

    training, validation = images(45_000), images(5_000)
    rates = {}
    for width in (8, 24, 64):
        genome = plain(width)
        for _ in range(2):  # the first run also loads kernels
            torch.manual_seed(0)
            course = train(build(genome, SPACE), training, validation, RECIPE, seed=1)
        assert course.status == "ok", course
        assert (course.correct or 0) > 4_500
        rates[f"{describe(genome, SPACE).flops / 1e9:.3f} GFLOP"] = round(45_000 * RECIPE.epochs / course.train_time_s)
    results["training images/s"] = rates


def test_the_host_waits_once_an_epoch(images: Callable[[int], Any]) -> None:
    import torch

    from evolver.training.network import build
    from evolver.training.training import train

    training, validation = images(4_096), images(1_000)
    train(build(plain(8), SPACE), training, validation, RECIPE, seed=1)
    network = build(plain(8), SPACE).cuda()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            train(network, training, validation, RECIPE, seed=1, rungs={1: 0.0, 2: 0.0})
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([wait for wait in waits if "synchroniz" in str(wait.message)]) <= RECIPE.epochs


def test_memory_that_runs_out_is_an_outcome_and_leaves_room_for_the_next(results: dict[str, Any]) -> None:
    from evolver.training.evaluation import evaluate

    settings = Settings(dataset="digits", max_epochs=3).to_json()
    small = genome_of(convolution(8), Activation("relu"), training=replace(RECIPE, batch_size=64, epochs=2))
    vast = genome_of(InnerProduct(200_000), InnerProduct(200_000), training=RECIPE)  # 160 GB of weights
    assert evaluate(Job("train", 1, small.to_json(), 1, settings)).status == "ok"
    assert evaluate(Job("train", 2, vast.to_json(), 1, settings)).status == "oom"
    outcome = evaluate(Job("train", 3, small.to_json(), 1, settings))
    assert outcome.status == "ok"
    assert (outcome.peak_memory_bytes or 0) > 0
