"""Make the batches of one pass for the inputs of an ONNX model, from images or descriptions of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.datasets import LabelledImages
from profilers.errors import ModelError, OutOfMemory
from profilers.measuring.settings import ProfileSettings
from profilers.models.inputs import Input, image_array, parse_inputs
from profilers.models.onnx.shapes import GraphInput

Feeds = dict[str, NDArray[np.generic]]

# Number of different batches in a pass of random inputs.
_RANDOM_BATCHES = 8


@dataclass(frozen=True)
class FeedBatch:
    """The inputs of one call by name, and the number of images in them."""

    feeds: Feeds
    images: int

    @property
    def shapes(self) -> str:
        return ", ".join("x".join(map(str, array.shape)) or "one number" for array in self.feeds.values())


def make_batches(settings: ProfileSettings, taken: Sequence[GraphInput], data: LabelledImages | None) -> list[FeedBatch]:
    """Make the batches; raise ModelError if the model does not accept the requested ones."""
    fixed = taken[0].sizes[0] if taken[0].sizes and isinstance(taken[0].sizes[0], int) else None
    size = settings.batch_size
    if fixed not in (None, size):
        raise ModelError(f"{settings.model} takes only batches of {fixed}; give --batch-size {fixed}")
    given = parse_inputs(settings.inputs, settings.values)
    try:
        if data is not None:
            return _of_images(settings, taken, data, given, whole=fixed is not None)
        described = _matched(settings.model, taken, given)
        return [
            FeedBatch({one.name: _made(one, input, size, settings.seed + number) for one, input in described}, size)
            for number in range(_RANDOM_BATCHES)
        ]
    except MemoryError as error:
        raise OutOfMemory(f"making batches of {size}: out of memory; use a smaller --batch-size, or a smaller model") from error


def _of_images(
    settings: ProfileSettings, taken: Sequence[GraphInput], data: LabelledImages, given: Sequence[Input], *, whole: bool
) -> list[FeedBatch]:
    first, size, count = taken[0], settings.batch_size, len(data.labels)
    shape = data.images.shape[1:]
    if len(first.sizes) != 4 or not all(isinstance(a, str) or a == b for a, b in zip(first.sizes[1:], shape, strict=False)):
        wanted = "x".join(map(str, first.sizes[1:])) or "one number"
        raise ModelError(
            f"{settings.model} takes inputs of {wanted}, and the images of {data.name} are {'x'.join(map(str, shape))}"
        )
    if not first.dtype.startswith("float"):
        raise ModelError(
            f"{settings.model} takes {first.dtype}, but normalised images are floating-point numbers; use --input instead"
        )
    batches = []
    for start in range(0, count - size + 1 if whole else count, size):
        images = image_array(data, slice(start, start + size), normalise=settings.normalise).astype(first.dtype, copy=False)
        rest = _matched(settings.model, taken[1:], given)
        feeds = {one.name: _made(one, input, len(images), settings.seed) for one, input in rest}
        batches.append(FeedBatch({first.name: images, **feeds}, len(images)))
    if not batches:
        raise ModelError(f"{data.name} has {count} images, and the model takes only batches of {size}")
    return batches


def _matched(model: str, taken: Sequence[GraphInput], given: Sequence[Input]) -> list[tuple[GraphInput, Input]]:
    """Match the inputs of the model to those given, by name or in order; inputs stated in the file need no --input."""
    named = {input.name: input for input in given if input.name is not None}
    in_order = [input for input in given if input.name is None]
    pairs = []
    for one in taken:
        input = named.pop(one.name, None)
        if input is None and in_order:
            input = in_order.pop(0)
        pairs.append((one, input if input is not None else _told(model, one)))
    if left := [*named, *(["one more"] if in_order else [])]:
        raise ModelError(
            f"{model} has no input for {', '.join(map(str, left))}; it takes {', '.join(one.name[:80] for one in taken)}"
        )
    for one, input in pairs:
        _check(model, one, input)
    return pairs


def _told(model: str, one: GraphInput) -> Input:
    sizes = tuple(size for size in one.sizes[1:] if isinstance(size, int))
    if len(sizes) != len(one.sizes[1:]):
        free = ", ".join(str(size)[:40] for size in one.sizes[1:] if isinstance(size, str))
        raise ModelError(
            f"{model}: the input {one.name[:80]!r} has free sizes ({free}); give --input 3x224x224 (a shape without the batch)"
        )
    return Input(one.name, sizes, one.dtype)


def _check(model: str, one: GraphInput, input: Input) -> None:
    if input.shape is None:
        if not isinstance(input.value, (bool, int, float)):
            raise ModelError(f"{model}: the input {one.name[:80]!r} takes {one.dtype}, not {input.value!r}")
        return
    wanted = one.sizes[1:]
    if len(wanted) != len(input.shape) or not all(isinstance(a, str) or a == b for a, b in zip(wanted, input.shape, strict=True)):
        shapes = ["x".join(map(str, sizes)) or "one number" for sizes in (wanted, input.shape)]
        raise ModelError(f"{model}: the input {one.name[:80]!r} takes {shapes[0]} (without the batch), not {shapes[1]}")
    if input.dtype not in (one.dtype, "float32"):
        raise ModelError(f"{model}: the input {one.name[:80]!r} takes {one.dtype}, not {input.dtype}")


def _made(one: GraphInput, input: Input, batch: int, seed: int) -> NDArray[np.generic]:
    """Return random numbers (standard normal floats, integers 0 or 1, fair coins), or a constant everywhere."""
    first = one.sizes[:1]
    sizes = tuple(batch if isinstance(size, str) else size for size in first)
    if input.shape is None:
        return np.full((*sizes, *(size for size in one.sizes[1:] if isinstance(size, int))), input.value, one.dtype)
    shape = (*sizes, *input.shape)
    rng = np.random.default_rng(seed)
    if one.dtype.startswith("float"):
        return rng.standard_normal(shape, np.float32).astype(one.dtype)
    return rng.integers(0, 2, shape).astype(one.dtype)
