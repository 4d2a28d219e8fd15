"""Turn descriptions of a network's inputs, or images, into batches of tensors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from profilers.datasets import LabelledImages

Value = bool | int | float | str | None
DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
# of torchvision's ImageNet weights, for pixels 0..1; many CIFAR networks are trained with them too
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHAPE = re.compile(r"\d+(x\d+)*")


@dataclass(frozen=True)
class Input:
    """One argument of a network: a tensor of `shape` (without the batch), or, with shape None, the constant `value`."""

    name: str | None
    shape: tuple[int, ...] | None
    dtype: str = "float32"
    value: Value = None


def parse_inputs(texts: Iterable[str], values: Iterable[str] = ()) -> tuple[Input, ...]:
    """Parse "3x32x32", "ids=128:int64" and constants "sr=16000"; "1" is one number an image, "" none (shape [batch]).

    >>> parse_inputs(["3x32x32", "ids=128:int64"], ["sr=16000"])[1:]
    (Input(name='ids', shape=(128,), dtype='int64', value=None), Input(name='sr', shape=None, dtype='int', value=16000))
    """
    inputs = [_parsed_input(text) for text in texts] + [_parsed_value(text) for text in values]
    names = [input.name for input in inputs if input.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"input {name!r} is given {names.count(name)} times")
    return tuple(sorted(inputs, key=lambda input: input.name is not None))  # positional ones first


def _parsed_input(text: str) -> Input:
    name, equals, rest = text.rpartition("=")
    shape, colon, dtype = rest.partition(":")
    if equals and not name.isidentifier():
        raise ValueError(f"input {text!r}: {name!r} is not the name of an argument")
    if shape and not _SHAPE.fullmatch(shape):
        raise ValueError(f"input {text!r}: a shape is written 3x32x32, without the batch")
    if colon and dtype not in DTYPES:
        raise ValueError(f"input {text!r}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    sizes = tuple(int(size) for size in shape.split("x")) if shape else ()
    if 0 in sizes:
        raise ValueError(f"input {text!r}: a size of 0")
    return Input(name or None, sizes, dtype or "float32")


def _parsed_value(text: str) -> Input:
    name, _, value = text.partition("=")
    if not name.isidentifier() or not value:
        raise ValueError(f"value {text!r}: a constant is written name=value, as sr=16000")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    if isinstance(parsed, list | dict):
        raise ValueError(f"value {text!r}: a constant is a number, true, false, null or text")
    return Input(name, None, type(parsed).__name__, parsed)


def make_batch(inputs: Sequence[Input], batch: int, seed: int) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return (args, kwargs) on the CPU: tensors [batch, *shape] of random numbers, the same for the same seed.

    Floats are standard normal, integers 0 or 1 (valid as indices, masks and types alike), bools fair coins.
    """
    import torch

    if batch < 1:
        raise ValueError(f"batch {batch}: at least 1")
    generator = torch.Generator().manual_seed(seed)
    args: list[object] = []
    kwargs: dict[str, object] = {}
    for input in inputs:
        made = input.value if input.shape is None else _random(input, batch, generator)
        if input.name is None:
            args.append(made)
        else:
            kwargs[input.name] = made
    return tuple(args), kwargs


def _random(input: Input, batch: int, generator: object) -> Tensor:
    import torch

    assert input.shape is not None
    dtype, shape = getattr(torch, input.dtype), (batch, *input.shape)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def normalisation(
    data: LabelledImages, normalise: str | tuple[Sequence[float], Sequence[float]] = "dataset"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation a channel, of pixels 0..1.

    "dataset": of its training images; "imagenet": of torchvision's ImageNet weights; "none": 0 and 1; or the numbers.
    """
    channels = data.images.shape[1]
    if normalise == "dataset":
        if data.mean is None or data.std is None:
            raise ValueError(
                f"{data.name} has no training images to take mean and deviation from; choose imagenet, none or numbers"
            )
        mean, std = data.mean, data.std
    elif normalise == "imagenet":
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    elif normalise == "none":
        mean, std = (0.0,) * channels, (1.0,) * channels
    elif isinstance(normalise, str):
        raise ValueError(f"normalise {normalise!r}: choose dataset, imagenet, none, or a mean and a deviation a channel")
    else:
        mean, std = (tuple(float(number) for number in numbers) for numbers in normalise)
    if len(mean) != channels or len(std) != channels:
        raise ValueError(f"normalise: {len(mean)} means and {len(std)} deviations for images of {channels} channels")
    if not all(math.isfinite(number) for number in mean) or not all(0 < number < math.inf for number in std):
        raise ValueError(f"normalise: means {mean} must be finite, deviations {std} above 0")
    return np.asarray(mean, np.float32), np.asarray(std, np.float32)


def image_batch(
    data: LabelledImages,
    rows: slice | NDArray[np.int64] = slice(None),
    *,
    normalise: str | tuple[Sequence[float], Sequence[float]] = "dataset",
) -> Tensor:
    """Return images as float32 [n, channels, height, width] on the CPU: (pixel / 255 - mean) / deviation."""
    import torch

    mean, std = (torch.from_numpy(numbers).view(-1, 1, 1) for numbers in normalisation(data, normalise))
    pixels = torch.from_numpy(data.images[rows]).to(torch.float32)
    return pixels.div_(255).sub_(mean).div_(std)
