"""Images that are not read yet, and image files decoded into one array of pixels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.errors import DataError


@dataclass(frozen=True)
class Source:
    """One split of a data set that is not read yet: labels at once, pixels by row."""

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    pixels: Callable[[NDArray[np.int64]], NDArray[np.uint8]]


def decode(names: Sequence[str], read: Callable[[int], bytes]) -> NDArray[np.uint8]:
    """Return uint8 [n, channels, height, width] of n encoded images (JPEG, PNG, WebP, GIF); `read` gives the bytes of one.

    Grey stays one channel where all are grey; everything else becomes RGB.
    Raises DataError, naming the image, where one cannot be decoded or is of another size than the first.
    """
    with warnings.catch_warnings():
        # torchvision 0.29 announces TorchCodec as its successor; Pillow takes five times as long
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return _decoded(names, read, colour=False)
        except _MixedChannels:
            return _decoded(names, read, colour=True)


class _MixedChannels(Exception):  # noqa: N818
    """Images are not all grey or all RGB."""


def _decoded(names: Sequence[str], read: Callable[[int], bytes], *, colour: bool) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] | None = None
    for row, name in enumerate(names):
        image = _pixels(name, read(row), colour=colour)
        if not colour and image.shape[0] not in (1, 3):
            raise _MixedChannels
        if images is None:
            images = np.empty((len(names), *image.shape), np.uint8)
        elif image.shape != images.shape[1:]:
            if image.shape[1:] == images.shape[2:]:
                raise _MixedChannels
            sizes = [f"{shape[-1]}x{shape[-2]}" for shape in (images.shape, image.shape)]
            raise DataError(f"images of several sizes: {names[0]} is {sizes[0]}, {name} is {sizes[1]}; resize them to one")
        images[row] = image
    assert images is not None  # the caller refuses an empty data set
    return images


def _pixels(name: str, content: bytes, *, colour: bool) -> NDArray[np.uint8]:
    import torch
    from torchvision.io import ImageReadMode, decode_image

    if not content:
        raise DataError(f"image {name} is empty (0 bytes)")
    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)  # of bytes, which are read-only, torch warns
    try:
        image = decode_image(encoded, ImageReadMode.RGB if colour else ImageReadMode.UNCHANGED)
    except RuntimeError as error:
        raise DataError(f"image {name} cannot be decoded ({str(error).splitlines()[0][:100]}); replace or remove it") from error
    if image.dtype != torch.uint8 or image.dim() != 3:
        raise DataError(f"image {name} is not one picture of 8 bits a channel")
    pixels: NDArray[np.uint8] = image.numpy()
    return pixels
