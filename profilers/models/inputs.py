"""Turn descriptions of a network's inputs, or images, into batches of tensors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from profilers.datasets import LabelledImages

Value = bool | int | float | str | None
DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
# those of torchvision's ImageNet weights, for pixels 0..1; many CIFAR networks use them too
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHAPE = re.compile(r"\d+(x\d+)*")
_PATH = re.compile(r"(?:[^\W\d]\w*|\d+(?=[.\[(]))(?:\.[^\W\d]\w*|\[\d+\]|\(\d+\))*")


@dataclass(frozen=True)
class Input:
    """One argument of a network: a tensor of `shape` (without the batch), or, with shape None, the constant `value`.

    `name` is a path if lists, tuples or dicts hold the argument: pair[0], pair(0), sample.image, or 0[1] by position.
    """

    name: str | None
    shape: tuple[int, ...] | None
    dtype: str = "float32"
    value: Value = None
    axis: int = field(default=0, repr=False)  # dimension of the batch
    below: int = field(default=2, repr=False)  # bound of random integers


def parse_inputs(texts: Iterable[str], values: Iterable[str] = ()) -> tuple[Input, ...]:
    """Parse "3x32x32", "ids=128:int64<30522" and constants "sr=16000"; "1" is one number per image, "" a shape of [batch].

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
    shape, colon, kind = rest.partition(":")
    dtype, less, below = kind.partition("<")
    if equals and not _PATH.fullmatch(name):
        raise ValueError(f"input {text!r}: {name!r} is not the name of an argument (ids, pair[0], sample.image, 0[1])")
    if shape and not _SHAPE.fullmatch(shape):
        raise ValueError(f"input {text!r}: a shape is written 3x32x32, without the batch")
    if colon and dtype not in DTYPES:
        raise ValueError(f"input {text!r}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    sizes = tuple(int(size) for size in shape.split("x")) if shape else ()
    if 0 in sizes:
        raise ValueError(f"input {text!r}: a size of 0")
    if less and (not below.isdecimal() or int(below) < 1 or "int" not in dtype):
        raise ValueError(f"input {text!r}: a range is written ids=128:int64<30522, for whole numbers from 0 to 30521")
    return Input(name or None, sizes, dtype or "float32", below=int(below) if less else 2)


def _parsed_value(text: str) -> Input:
    name, _, value = text.partition("=")
    if not _PATH.fullmatch(name) or not value:
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

    Floats are standard normal, bools fair coins, integers 0 or 1 (valid as indices, masks and types) or within their bound.
    """
    import torch

    if batch < 1:
        raise ValueError(f"batch {batch}: at least 1")
    generator = torch.Generator().manual_seed(seed)
    args: list[object] = []
    kwargs: dict[str, object] = {}
    places: dict[str, Any] = {}
    for input in inputs:
        made = input.value if input.shape is None else _random(input, batch, generator)
        if input.name is None:
            args.append(made)
        elif input.name.isidentifier():
            kwargs[input.name] = made
        else:
            _put(places, input.name, made)
    for name, value in places.items():
        if name.isdecimal():
            args.insert(int(name), _container(value))
        elif name in kwargs:
            raise ValueError(f"input {name!r} is given as one tensor, and as a container of several")
        else:
            kwargs[name] = _container(value)
    return tuple(args), kwargs


def _put(places: dict[str, Any], path: str, value: object) -> None:
    """Put a value at a path, in dicts by name and by position ("[0]", "(0)"), which `_container` later turns into lists."""
    steps = re.findall(r"\w+|\[\d+\]|\(\d+\)", path)
    for step in steps[:-1]:
        places = places.setdefault(step, {})
        if not isinstance(places, dict):
            raise ValueError(f"input {path!r}: {step} is already a tensor")
    places[steps[-1]] = value


def _container(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kinds = {name[0] if name[0] in "[(" else "." for name in value}
    if len(kinds) > 1:
        raise ValueError(f"inputs {', '.join(value)}: one argument is either a list, a tuple or a dict")
    if kinds == {"."}:
        return {name: _container(one) for name, one in value.items()}
    ordered = sorted(((int(name[1:-1]), one) for name, one in value.items()), key=lambda pair: pair[0])
    if [place for place, _ in ordered] != list(range(len(ordered))):
        raise ValueError(f"inputs {', '.join(value)}: the positions are not 0 to {len(ordered) - 1}")
    made = [_container(one) for _, one in ordered]
    return made if kinds == {"["} else tuple(made)


def _random(input: Input, batch: int, generator: object) -> Tensor:
    import torch

    assert input.shape is not None
    if input.axis > len(input.shape):
        raise ValueError(f"--batch-axis {input.axis}: an input of {len(input.shape)} dimensions has no such batch dimension")
    dtype, shape = getattr(torch, input.dtype), (*input.shape[: input.axis], batch, *input.shape[input.axis :])
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2 if dtype == torch.bool else input.below, shape, generator=generator).to(dtype)


def normalisation(
    data: LabelledImages, normalise: str | tuple[Sequence[float], Sequence[float]] = "dataset"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean and standard deviation per channel, for pixels 0..1.

    "dataset": those of its training images; "imagenet": those of torchvision's ImageNet weights; "none": 0 and 1; or numbers.
    """
    channels = data.images.shape[1]
    if normalise == "dataset":
        if data.mean is None or data.std is None:
            raise ValueError(f"{data.name} has no training images for mean and deviation; choose imagenet, none or numbers")
        mean, std = data.mean, data.std
    elif normalise == "imagenet":
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    elif normalise == "none":
        mean, std = (0.0,) * channels, (1.0,) * channels
    elif isinstance(normalise, str):
        mean, std = _numbers(normalise, channels)
    else:
        mean, std = (tuple(float(number) for number in numbers) for numbers in normalise)
    if len(mean) != channels or len(std) != channels:
        raise ValueError(f"normalise: {len(mean)} means and {len(std)} deviations for images of {channels} channels")
    if not all(math.isfinite(number) for number in mean) or not all(0 < number < math.inf for number in std):
        raise ValueError(f"normalise: means {mean} must be finite, deviations {std} above 0")
    return np.asarray(mean, np.float32), np.asarray(std, np.float32)


def _numbers(text: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read "0.5,0.5", a mean and a deviation for all channels, or the means of all channels followed by the deviations."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) == 2:
        return numbers[:1] * channels, numbers[1:] * channels
    if len(numbers) != 2 * channels:
        raise ValueError(
            f"normalise {text!r}: choose dataset, imagenet, none, or a mean and a deviation (0.5,0.5), or {channels} of each"
        )
    return numbers[:channels], numbers[channels:]


def image_array(
    data: LabelledImages,
    rows: slice | NDArray[np.int64] = slice(None),
    *,
    normalise: str | tuple[Sequence[float], Sequence[float]] = "dataset",
) -> NDArray[np.float32]:
    """Return images as float32 [n, channels, height, width]: (pixel / 255 - mean) / deviation."""
    mean, std = (numbers.reshape(-1, 1, 1) for numbers in normalisation(data, normalise))
    pixels: NDArray[np.float32] = data.images[rows].astype(np.float32)
    pixels /= np.float32(255)
    pixels -= mean
    pixels /= std
    return pixels


def image_batch(
    data: LabelledImages,
    rows: slice | NDArray[np.int64] = slice(None),
    *,
    normalise: str | tuple[Sequence[float], Sequence[float]] = "dataset",
) -> Tensor:
    """Return the images of `image_array` as a tensor on the CPU."""
    import torch

    return torch.from_numpy(image_array(data, rows, normalise=normalise))
