"""Decode image files, and bring images of several sizes to one size."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.errors import DataError

_SIZE = re.compile(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?")


@dataclass(frozen=True)
class Fit:
    """The shorter side, or height and width, to resize to; then height and width of the central crop."""

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None

    @classmethod
    def of(cls, resize: str | None, crop: str | None) -> Fit:
        """Read "256" and "256x192" (height x width); raise ValueError for anything else."""
        return cls(*(_size(name, text) for name, text in (("resize", resize), ("crop", crop))))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one image [channels, height, width] by torchvision, bilinear and antialiased, and crop it."""
        if self.resize is None and self.crop is None:
            return image
        import torch
        from torchvision.transforms.v2 import functional

        tensor = torch.from_numpy(np.array(image))
        if self.resize is not None:
            tensor = functional.resize(tensor, list(self.resize), antialias=True)
        if self.crop is not None:
            tensor = functional.center_crop(tensor, [*self.crop, *self.crop][:2])
        fitted: NDArray[np.uint8] = tensor.numpy()
        return fitted


def _size(name: str, text: str | None) -> tuple[int, ...] | None:
    if text is not None and not _SIZE.fullmatch(text):
        raise ValueError(f"--{name} {text!r} is not a size such as 256, or 256x192 (height x width)")
    return tuple(map(int, text.split("x"))) if text else None


AS_IT_IS = Fit()


# A larger image is refused by its header, before it is decoded.
MOST_PIXELS = 50_000_000
# Images that unpack to more bytes than this, and to more than this many times the size of their files, are a bomb.
_MOST_BYTES, _MOST_TIMES = 1 << 30, 200
# The file formats to read. Pillow knows more, some of which run other programs (PostScript).
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


@dataclass(frozen=True)
class ImageSource:
    """One split of a data set that is not read yet: labels are known, pixels are read by row."""

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    pixels: Callable[[NDArray[np.int64]], NDArray[np.uint8]]


def decode(names: Sequence[str], read: Callable[[int], bytes], fit: Fit = AS_IT_IS) -> NDArray[np.uint8]:
    """Decode n images (FORMATS) to uint8 [n, channels, height, width]; `read` gives the bytes of one, `fit` sets its size.

    If all images are grey, they keep one channel; otherwise all become RGB.
    Raises DataError, naming the image, if one cannot be decoded or differs in size from the first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision 0.29 announces TorchCodec as its successor; Pillow warns about odd tags
        try:
            return _decoded(names, read, fit, colour=False)
        except _MixedChannels:
            return _decoded(names, read, fit, colour=True)


class _MixedChannels(Exception):  # noqa: N818
    """Images are neither all grey nor all RGB."""


def _decoded(names: Sequence[str], read: Callable[[int], bytes], fit: Fit, *, colour: bool) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] | None = None
    encoded, known = 0, set[int]()
    for row, name in enumerate(names):
        content = read(row)
        if hash(content) not in known:  # a Parquet file stores equal images once
            known.add(hash(content))
            encoded += len(content)
        image = fit(_pixels(name, content, colour=colour))
        if not colour and image.shape[0] not in (1, 3):
            raise _MixedChannels
        if images is None:
            images = _room_for(names, image)
        elif image.shape != images.shape[1:]:
            if image.shape[1:] == images.shape[2:]:
                raise _MixedChannels
            sizes = [f"{shape[-1]}x{shape[-2]}" for shape in (images.shape, image.shape)]
            raise DataError(
                f"images of different sizes: {names[0]} is {sizes[0]}, {name} is {sizes[1]}; give --resize and --crop"
            )
        if (row + 1) * image.nbytes > max(_MOST_BYTES, _MOST_TIMES * encoded):
            raise DataError(
                f"the first {row + 1} images unpack to more than {_MOST_TIMES} times their files and more than 1 GB;"
                " use fewer with --limit, or save them with less compression"
            )
        images[row] = image
    assert images is not None  # the caller refuses an empty data set
    return images


def _room_for(names: Sequence[str], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        return np.empty((len(names), *image.shape), np.uint8)
    except (MemoryError, ValueError) as error:
        size = f"{image.shape[-1]}x{image.shape[-2]}"
        raise DataError(f"{len(names)} images of {size} do not fit into memory; use fewer with --limit") from error


def _pixels(name: str, content: bytes, *, colour: bool) -> NDArray[np.uint8]:
    from PIL import Image

    if not content:
        raise DataError(f"image {name} is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise DataError(f"image {name} is {width}x{height}; more than {MOST_PIXELS:,} pixels are not decoded")
            if getattr(picture, "n_frames", 1) > 1 or picture.mode not in _MODES:
                raise DataError(f"image {name} is not a single picture with 8 bits per channel")
            if picture.format == "JPEG" and "torch" in sys.modules:  # takes seconds to import, and not every runtime needs it
                return _jpeg(content, colour=colour)
            mode = "RGB" if colour else _MODES[picture.mode]
            pixels = np.asarray(picture if picture.mode == mode else picture.convert(mode), np.uint8)
    except (
        OSError,
        RuntimeError,
        ValueError,
        SyntaxError,
        EOFError,
        OverflowError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise DataError(f"image {name} cannot be decoded ({reason}); replace or remove it") from error
    return np.ascontiguousarray(pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0))


# Pillow's modes with 8 bits per channel, each with the mode to which it is converted without loss
_MODES = {"1": "L", "L": "L", "P": "RGB", "PA": "RGBA", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "YCbCr": "RGB"}


def _jpeg(content: bytes, *, colour: bool) -> NDArray[np.uint8]:
    """Decode with torchvision, to the same bits as Pillow but five times as fast on small images.

    Its PNG decoder crashes on a damaged file.
    """
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)  # torch would warn about read-only bytes
    image: NDArray[np.uint8] = decode_jpeg(encoded, ImageReadMode.RGB if colour else ImageReadMode.UNCHANGED).numpy()
    return image
