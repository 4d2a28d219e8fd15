"""Training on images that stay on the device: what it learns, when it stops, and that it repeats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from evolver.architectures.genome import Activation, Dropout, Genome, InnerProduct, Optimizer, Training
from evolver.architectures.space import Space
from evolver.training.network import build
from evolver.training.training import (
    ImageSet,
    TrainingResult,
    _one_cycle,
    count_correct,
    entropy,
    image_set,
    joined,
    train,
)
from profilers.datasets import load_dataset
from tests.evolver.conftest import DIGITS, convolution, genome_of, max_pool

RECIPE = Training("sgd", 0.05, 1e-4, 32, 3)
SMALL = genome_of(
    convolution(16), Activation("relu"), max_pool((2, 2), (2, 2)), InnerProduct(32), Activation("relu"), training=RECIPE
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def digits() -> tuple[ImageSet, ImageSet]:
    found = load_dataset("digits", split="train")
    assert found.mean is not None
    assert found.std is not None
    cpu = torch.device("cpu")
    return tuple(  # type: ignore[return-value]
        image_set(found.images[rows], found.labels[rows], found.mean, found.std, cpu)
        for rows in (slice(0, 900), slice(900, None))
    )


def trained(
    genome: Genome,
    digits: tuple[ImageSet, ImageSet],
    *,
    seed: int = 0,
    rungs: dict[int, float] | None = None,
    collapse_test: bool = True,
) -> TrainingResult:
    torch.manual_seed(seed)
    return train(build(genome, DIGITS), *digits, genome.training, seed=seed, rungs=rungs, collapse_test=collapse_test)


def test_images_are_normalised_a_batch_at_a_time(digits: tuple[ImageSet, ImageSet]) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    held = image_set(images, np.array([1, 0]), (0.1, 0.2, 0.3), (0.5, 0.25, 0.0), torch.device("cpu"))
    batch, labels = held.batch(torch.tensor([1]))
    assert held.images.dtype == torch.uint8
    assert labels.tolist() == [0]
    expected = (images[1].astype(np.float32) / 255 - np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)) / np.array(
        [0.5, 0.25, 1.0]
    ).reshape(3, 1, 1)
    np.testing.assert_allclose(batch[0].numpy(), expected, rtol=1e-5)
    whole = joined(*digits)
    assert len(whole) == sum(map(len, digits))
    assert float(whole.batch(slice(None))[0].mean()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_good_network_learns_the_digits(optimizer: Optimizer, digits: tuple[ImageSet, ImageSet]) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, learning_rate=0.1 if optimizer == "sgd" else 0.01, batch_size=16)
    course = trained(replace(SMALL, training=recipe), digits)
    assert (course.status, course.reason, course.epochs, course.curve) == ("ok", None, 3, ())
    assert course.correct is not None
    assert course.correct / len(digits[1]) > 0.9
    assert course.train_time_s > 0


def test_a_seed_repeats_and_another_does_not(digits: tuple[ImageSet, ImageSet]) -> None:
    genome = replace(SMALL, classifier=(*SMALL.classifier, *genome_of(Dropout(0.5)).features))
    rungs = {1: 0.0, 2: 0.0}
    first, second, third = (trained(genome, digits, seed=seed, rungs=rungs) for seed in (1, 1, 2))
    assert (first.correct, first.curve) == (second.correct, second.curve)
    assert (first.correct, first.curve) != (third.correct, third.curve)


def test_rungs_note_the_accuracy_and_stop_below_their_threshold(digits: tuple[ImageSet, ImageSet]) -> None:
    noted = trained(SMALL, digits, rungs={1: 0.0, 2: 0.0, 3: 1.0})
    assert noted.status == "ok"  # the last epoch is no rung: nothing is left to save
    assert [epoch for epoch, _ in noted.curve] == [1, 2]
    first, second = (accuracy for _, accuracy in noted.curve)
    stopped = trained(SMALL, digits, rungs={1: first, 2: second + 1e-9})
    assert (stopped.status, stopped.correct, stopped.epochs) == ("stopped", None, 2)
    assert stopped.curve == noted.curve
    assert stopped.reason == f"accuracy {second:.4f} after epoch 2 of 3 is below {second:.4f}"


def test_noting_an_accuracy_does_not_change_the_training(digits: tuple[ImageSet, ImageSet]) -> None:
    genome = replace(SMALL, features=(*SMALL.features, *genome_of(Dropout(0.3)).features))
    assert trained(genome, digits, rungs={1: 0.0}).correct == trained(genome, digits).correct
    assert trained(genome, digits, collapse_test=False).correct == trained(genome, digits).correct


def test_what_cannot_learn_collapses_after_one_epoch_and_runs_on_without_the_test(digits: tuple[ImageSet, ImageSet]) -> None:
    saturated = genome_of(*(layer for _ in range(8) for layer in (InnerProduct(16), Activation("sigmoid"))), training=RECIPE)
    course = trained(saturated, digits)
    assert (course.status, course.epochs, course.correct) == ("collapsed", 1, None)
    assert course.reason is not None
    assert "is not below the entropy of the classes" in course.reason or "same for all images" in course.reason
    control = trained(saturated, digits, collapse_test=False)
    assert (control.status, control.epochs) == ("ok", 3)
    assert control.correct is not None
    assert control.correct / len(digits[1]) < 0.3


def test_constant_output_is_a_collapse_of_its_own(digits: tuple[ImageSet, ImageSet]) -> None:
    network = build(SMALL, DIGITS)
    with torch.no_grad():
        network[0].bias.fill_(-1e6)  # every ReLU is dead
    course = train(network, *digits, RECIPE, seed=0)
    assert (course.status, course.reason) == ("collapsed", "the output is the same for all images after epoch 1")


def test_a_loss_that_is_not_finite_ends_the_training(digits: tuple[ImageSet, ImageSet]) -> None:
    hot = replace(SMALL, training=replace(RECIPE, learning_rate=1e30))
    for collapse_test in (True, False):
        course = trained(hot, digits, collapse_test=collapse_test)
        assert (course.status, course.correct, course.reason) == ("nan", None, "the loss was not finite in epoch 1 of 3")
    last_step = replace(SMALL, training=replace(RECIPE, learning_rate=1e30, batch_size=1024, epochs=1))
    assert trained(last_step, digits).status == "nan"  # the one loss was finite, the weights after it are not


def test_every_image_is_shown_once_an_epoch(digits: tuple[ImageSet, ImageSet]) -> None:
    images = np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1)
    held = image_set(images, np.arange(50) % 2, (0.0,), (1 / 255,), torch.device("cpu"))
    shown: list[list[int]] = []

    class Watching(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Linear(1, 2)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            if self.training:
                shown.append(batch.flatten().round().int().tolist())
            return self.weights(batch.flatten(1) / 50)

    train(Watching(), held, held, replace(RECIPE, batch_size=16, epochs=2), seed=3, collapse_test=False)
    assert [len(batch) for batch in shown] == [16, 16, 16, 2] * 2
    epochs = [list(chain(*shown[:4])), list(chain(*shown[4:]))]
    assert [sorted(epoch) for epoch in epochs] == [list(range(50))] * 2
    assert epochs[0] != epochs[1] != list(range(50))


def test_the_rate_rises_to_its_peak_and_falls() -> None:
    for total in (1, 2, 3, 10, 1000):
        rates = [_one_cycle(step, total) for step in range(total)]
        assert all(0 < rate <= 1 for rate in rates), total
        peak = rates.index(max(rates))
        assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
        assert max(rates) > 0.9, total
    assert _one_cycle(299, 1000) == 1
    assert _one_cycle(999, 1000) < 0.01


def test_the_entropy_is_of_the_shares() -> None:
    assert entropy(np.array([0, 1, 2, 3])) == pytest.approx(math.log(4))
    assert entropy(np.array([5, 5, 5, 2])) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert entropy(np.array([1, 1])) == 0


def test_counting_is_over_all_batches(digits: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = build(SMALL, DIGITS)
    whole = count_correct(network, digits[0])
    monkeypatch.setattr("evolver.training.training.VALIDATION_BATCH", 7)
    assert count_correct(network, digits[0]) == whole
    batch, labels = digits[0].batch(slice(None))
    assert whole == int((network(batch).argmax(1) == labels).sum())


def test_the_collapse_test_saves_epochs_and_stops_no_winner(
    digits: tuple[ImageSet, ImageSet], genomes: Callable[..., list[Genome]]
) -> None:
    """A control trains what the test stops; none of it ends among the best third of what was not stopped."""
    space = Space((1, 8, 8), 10, max_epochs=3, batch_sizes=(64,), max_flops=40_000)
    kept, stopped, epochs = [], [], 0
    for number, genome in enumerate(genomes(space, 20, seed=21)):
        genome = replace(genome, training=replace(genome.training, epochs=3))
        course = trained(genome, digits, seed=number)
        epochs += course.epochs
        if course.status == "ok":
            kept.append(course.correct or 0)
        elif course.status == "collapsed":
            control = trained(genome, digits, seed=number, collapse_test=False)
            stopped.append(control.correct or 0)
    assert epochs < 0.95 * 3 * 20, epochs
    assert len(stopped) >= 3
    assert max(stopped) < sorted(kept)[-len(kept) // 3], (sorted(stopped), sorted(kept))
