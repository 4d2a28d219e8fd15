"""Turn the outputs of a model and labels into how many images it classifies right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray


def scores(output: object, images: int, classes: int, /) -> torch.Tensor | str:
    """Return the scores [images, classes] of an output, or why it has none. Of a tuple or dict the first tensor counts."""
    first = next(iter(tensors_of(output)), None)
    if first is None:
        return "the model's output holds no tensor"
    if tuple(first.shape) != (images, classes):
        shape = tuple(first.shape)
        return f"the model's output for {images} images has shape {shape}, not one score for each of {classes} classes"
    if first.dtype == torch.bool or first.is_complex():
        return f"the model's output is {str(first.dtype).removeprefix('torch.')}, which is no score"
    return first


def count_correct(outputs: Iterable[tuple[object, int]], labels: NDArray[np.int64], classes: int, /) -> tuple[int | str, int]:
    """Return how many images get their own class the highest score, or why that cannot be said; and how many have a NaN score.

    An image with a NaN among its scores counts as wrong.
    """
    hits = broken = first = 0
    for output, images in outputs:
        found = scores(output, images, classes)
        if isinstance(found, str):
            return found, 0
        no_number = found.isnan().any(dim=1)
        own = torch.from_numpy(labels[first : first + images]).to(found.device)
        hits += int(((found.argmax(dim=1) == own) & ~no_number).sum())
        broken += int(no_number.sum())
        first += images
    return hits, broken


def tensors_of(output: object, /) -> Iterator[torch.Tensor]:
    """Yield the tensors of an output; of a dict with `logits` these alone."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in [output["logits"]] if "logits" in output else output.values():
            yield from tensors_of(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from tensors_of(value)
