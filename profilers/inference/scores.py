"""Count the images that a model classifies correctly, from its outputs and the labels."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def scores(output: object, images: int, classes: int, /) -> NDArray[Any] | str:
    """Return the scores [images, classes] in an output, or why it has none. In a tuple or dict, the first tensor is used."""
    first = next(iter(tensors_of(output)), None)
    if first is None:
        return "the model's output contains no tensor"
    if tuple(first.shape) != (images, classes):
        shape = tuple(first.shape)
        return f"the model's output for {images} images has shape {shape}, not one score for each of {classes} classes"
    kind = str(first.dtype).removeprefix("torch.")
    if kind.startswith(("bool", "complex")) or kind == "object":
        return f"the model's output is {kind}, which is not a score"
    return first if isinstance(first, np.ndarray) else np.asarray(first.double().cpu())


def count_correct(outputs: Iterable[tuple[object, int]], labels: NDArray[np.int64], classes: int, /) -> tuple[int | str, int]:
    """Return how many images score highest in their own class, or why that is unknown, and how many have a NaN score.

    An image with a NaN among its scores counts as wrong. classes = 0 takes the number of scores in the first output.
    """
    hits = broken = first = 0
    for output, images in outputs:
        if not classes and (told := next(iter(tensors_of(output)), None)) is not None and told.ndim == 2:
            classes = max(int(told.shape[1]), int(labels.max()) + 1)
        found = scores(output, images, classes)
        if isinstance(found, str):
            return found, 0
        no_number = np.isnan(found).any(axis=1)
        own = labels[first : first + images]
        hits += int(((found.argmax(axis=1) == own) & ~no_number).sum())
        broken += int(no_number.sum())
        first += images
    return hits, broken


def tensors_of(output: object, /) -> Iterator[Any]:
    """Yield the arrays or torch tensors in an output; in a dict with `logits`, only these."""
    torch = sys.modules.get("torch")  # if torch is not loaded, there are no tensors
    if isinstance(output, np.ndarray) or (torch is not None and isinstance(output, torch.Tensor)):
        yield output
    elif isinstance(output, dict):
        for value in [output["logits"]] if "logits" in output else output.values():
            yield from tensors_of(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from tensors_of(value)
