"""Train a network on images that stay on the device, and stop hopeless candidates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from evolver.architectures.genome import Training

MOMENTUM = 0.9
BETAS = (0.9, 0.99)
WARM_UP = 0.3  # share of the steps during which the one-cycle rate rises
VALIDATION_BATCH = 1000
CONSTANT = 1e-4  # standard deviation over images below which logits count as constant


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Labelled images on one device, as bytes; normalised one batch at a time."""

    images: torch.Tensor  # uint8 [n, channels, height, width]
    labels: torch.Tensor  # int64 [n]
    scale: torch.Tensor  # [channels, 1, 1]: pixel * scale + shift is normalised
    shift: torch.Tensor
    entropy: float  # entropy of the shares of the classes, in nats

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        return self.labels.device

    def batch(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalised float32 images [b, channels, height, width] and their labels."""
        return self.images[rows] * self.scale + self.shift, self.labels[rows]


def image_set(
    images: NDArray[np.uint8], labels: NDArray[np.int64], mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> ImageSet:
    """Move images [n, channels, height, width] to a device; `mean` and `std` are per channel, for pixels 0..1."""
    deviation = torch.tensor([value if value > 0 else 1.0 for value in std], device=device).view(-1, 1, 1)
    centre = torch.tensor(mean, device=device).view(-1, 1, 1)
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    resident = torch.from_numpy(images).to(device).contiguous(memory_format=layout)
    return ImageSet(resident, torch.from_numpy(labels).to(device), 1 / (255 * deviation), -centre / deviation, entropy(labels))


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """Return the images of two sets with the same device and scale as one set."""
    labels = torch.cat((first.labels, second.labels))
    return ImageSet(torch.cat((first.images, second.images)), labels, first.scale, first.shift, entropy(labels.cpu().numpy()))


_Status = Literal["ok", "stopped", "collapsed", "nan"]
_End = tuple[_Status, str]  # with the reason


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training. `correct` counts validation images, and is None if the training did not finish."""

    status: _Status
    reason: str | None
    correct: int | None
    curve: tuple[tuple[int, float], ...]  # (epochs done, validation accuracy) at each rung
    epochs: int
    train_time_s: float


def train(
    network: nn.Module,
    images: ImageSet,
    validation: ImageSet,
    recipe: Training,
    *,
    seed: int,
    rungs: Mapping[int, float] | None = None,
    collapse_test: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Train a network in place by SGD or AdamW with a one-cycle rate, and count its correct validation images.

    `rungs` maps epochs done to the validation accuracy below which training stops there; the last epoch is not a rung.
    After the first epoch, the collapse test stops a network with constant output, and one whose loss on training images, without
    dropout, is not below the entropy of their labels: it has learned only the class frequencies.
    It waits for the device once per epoch.
    """
    start_s = clock()
    torch.manual_seed(seed)
    network.to(images.device, memory_format=torch.channels_last if images.device.type == "cuda" else torch.contiguous_format)
    stepper = _Stepper(network, recipe, math.ceil(len(images) / recipe.batch_size))
    curve: list[tuple[int, float]] = []
    for epoch in range(1, recipe.epochs + 1):
        losses = stepper.epoch(images)
        threshold = None if epoch == recipe.epochs else (rungs or {}).get(epoch)
        tested = images if epoch == 1 and collapse_test else None
        counted = validation if epoch == recipe.epochs or threshold is not None else None
        seen = _Seen(torch.cat((_validate(network, counted, probe=tested), losses)).tolist())  # the epoch's only wait
        accuracy = seen.correct / len(validation)
        end = _broken(seen, epoch, recipe.epochs) or _collapsed(seen, tested)
        if threshold is not None and not end:
            curve.append((epoch, accuracy))
            if accuracy < threshold:
                end = "stopped", f"accuracy {accuracy:.4f} after epoch {epoch} of {recipe.epochs} is below {threshold:.4f}"
        if end:
            return TrainingResult(*end, None, tuple(curve), epoch, clock() - start_s)
    return TrainingResult("ok", None, int(seen.correct), tuple(curve), epoch, clock() - start_s)


class _Seen:
    """The device's report on an epoch: see `_validate`, and the losses of its steps."""

    def __init__(self, values: list[float]) -> None:
        self.correct, self.finite, self.deviation, self.probed, *self.losses = values


def _broken(seen: _Seen, epoch: int, epochs: int) -> _End | None:
    if all(map(math.isfinite, seen.losses)) and seen.finite:
        return None
    return "nan", f"the loss was not finite in epoch {epoch} of {epochs}"


def _collapsed(seen: _Seen, probe: ImageSet | None) -> _End | None:
    if probe is None:
        return None
    if seen.deviation < CONSTANT:
        return "collapsed", "the output is the same for all images after epoch 1"
    if not seen.probed < probe.entropy:
        return "collapsed", (
            f"a loss of {seen.probed:.4f} after epoch 1 is not below the entropy of the classes, {probe.entropy:.4f}"
        )
    return None


def entropy(labels: NDArray[np.int64]) -> float:
    """Return the entropy of the shares of the classes, in nats."""
    counts = np.bincount(labels)
    shares = counts[counts > 0] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def logits(network: nn.Module, images: ImageSet, *, autocast: bool = True) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield logits [b, classes] and labels [b] over a set; the network's mode stays unchanged."""
    for start in range(0, len(images), VALIDATION_BATCH):
        batch, labels = images.batch(slice(start, start + VALIDATION_BATCH))
        with torch.no_grad(), _autocast(images.device) if autocast else nullcontext():
            scores = network(batch).float()
        yield scores, labels


def count_correct(network: nn.Module, images: ImageSet, *, autocast: bool = True) -> int:
    """Return how many images a network classifies correctly, in evaluation mode."""
    network.eval()
    counts = [(scores.argmax(dim=1) == labels).sum() for scores, labels in logits(network, images, autocast=autocast)]
    return int(torch.stack(counts).sum())


def _validate(network: nn.Module, validation: ImageSet | None, *, probe: ImageSet | None) -> torch.Tensor:
    """Return, on the device: the correct validation images, whether their logits are finite, the logits' largest deviation over
    the first batch of the probed images, and the loss there."""
    network.eval()
    device = next(network.parameters()).device
    correct, finite = torch.zeros((), device=device), torch.ones((), device=device)
    deviation, loss = torch.full((), math.inf, device=device), torch.zeros((), device=device)
    for scores, labels in logits(network, validation) if validation else ():
        correct += (scores.argmax(dim=1) == labels).sum()
        finite *= scores.isfinite().all()
    if probe:
        scores, labels = next(logits(network, probe))
        deviation = scores.std(dim=0).max() if len(scores) > 1 else deviation
        loss = cross_entropy(scores, labels)
    return torch.stack((correct, finite, deviation, loss)).float()


class _Stepper:
    """Takes the steps of one training, and counts them."""

    def __init__(self, network: nn.Module, recipe: Training, steps_an_epoch: int) -> None:
        self.network, self.recipe = network, recipe
        self.taken, self.total = 0, steps_an_epoch * recipe.epochs
        self.optimizer = _optimizer(network, recipe)
        device = next(network.parameters()).device
        # in float16, gradients of small losses would vanish; bfloat16 has the range of float32
        self.scaler = torch.amp.GradScaler(device.type, enabled=_mixed(device) is torch.float16)

    def epoch(self, images: ImageSet) -> torch.Tensor:
        """Train on every image once, in a new order; return the losses [steps], on the device."""
        self.network.train()
        order = torch.randperm(len(images), device=images.device)
        return torch.stack([self._step(*images.batch(rows)) for rows in order.split(self.recipe.batch_size)])

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rate = self.recipe.learning_rate * _one_cycle(self.taken, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with _autocast(images.device):
            loss = cross_entropy(self.network(images), labels)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.taken += 1
        return loss.detach()


def _one_cycle(step: int, total: int) -> float:
    """Return the share of the peak rate: rising in a straight line, then falling to near 0 (after Smith and Topin 2018)."""
    peak = max(1.0, WARM_UP * total)
    return min((step + 1) / peak, (total - step) / max(1.0, total - peak + 1), 1.0)


def _optimizer(network: nn.Module, recipe: Training) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, betas=BETAS, weight_decay=recipe.weight_decay, fused=True
    )


def _mixed(device: torch.device) -> torch.dtype | None:
    """Return the narrow type for mixed precision, bfloat16 if the GPU supports it; None on a CPU, which stays in float32."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def _autocast(device: torch.device) -> AbstractContextManager[None]:
    mixed = _mixed(device)
    return torch.autocast(device.type, dtype=mixed) if mixed else nullcontext()
