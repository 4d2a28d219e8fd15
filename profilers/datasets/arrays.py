"""Read images and labels from a file of NumPy arrays (.npz), which runs no code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profilers.datasets.decoding import ImageSource
from profilers.errors import BOUNDED_ZIP, DAMAGED_ZIP, DataError

_DAMAGED = (
    *DAMAGED_ZIP,
    OSError,
    ValueError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TokenError,
)  # the others are NumPy's
_IMAGES, _LABELS = ("images", "x", "inputs", "data", "imgs"), ("labels", "y", "targets", "target", "label")
# Arrays that unpack to more bytes than this, and to more than this many times the size of the file, are a bomb.
_MOST_BYTES, _MOST_TIMES, _MOST_CLASSES = 1 << 30, 200, 100_000
_SPLITS = {"train": "train", "test": "test", "val": "valid", "valid": "valid"}
_WANTED = {name + suffix for name in _IMAGES + _LABELS for suffix in ("", *(f"_{split}" for split in _SPLITS))}
_LONGEST_HEADER = 10_000  # NumPy's own limit, which it checks after it has read the header


def of_npz(file: Path) -> dict[str, ImageSource]:
    """Return the splits of a file: x_train, y_train, x_test, y_test or similar, or one pair of arrays as the test split."""
    try:
        _check_size(file)
        with np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files if name.lower() in _WANTED}
            others = [name for name in stored.files if name not in found]
            arrays = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}  # others are bytes
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise DataError(f"{file} is not a file of plain NumPy arrays ({reason})") from error
    sources = {}
    for suffix, split in {"": "test", **{f"_{word}": split for word, split in _SPLITS.items()}}.items():
        images, labels = (_named(arrays, names, suffix) for names in (_IMAGES, _LABELS))
        if images is not None and labels is not None:
            sources[split] = _source(file, images, labels)
    if not sources:
        held = ", ".join([*arrays, *others])[:200] or "nothing"
        raise DataError(f"{file} holds {held}; name the arrays images and labels, or x_test and y_test")
    return sources


def _check_size(file: Path) -> None:
    with zipfile.ZipFile(file) as members:
        odd = [member.filename for member in members.infolist() if member.compress_type not in BOUNDED_ZIP]
        for member in [] if odd else members.infolist():
            with members.open(member) as array:
                start = array.read(12)
            length = int.from_bytes(start[8 : 10 if start[6:7] == b"\1" else 12], "little")
            if start.startswith(b"\x93NUMPY") and length > _LONGEST_HEADER:
                raise DataError(f"{file}: the header of {member.filename[:80]!r} has {length:,} bytes; NumPy writes about 100")
        unpacked = sum(member.file_size for member in members.infolist())  # never more than this is read of one
    if odd:
        raise DataError(f"{file}: {odd[0][:80]!r} is packed in a way that NumPy does not write; use np.savez_compressed")
    if unpacked > max(_MOST_BYTES, _MOST_TIMES * file.stat().st_size):
        raise DataError(
            f"{file} unpacks to {unpacked:,} bytes, more than {_MOST_TIMES} times its size; save it with less compression"
        )


def _named(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], suffix: str) -> NDArray[Any] | None:
    lower = {name.lower(): array for name, array in arrays.items()}
    return next((lower[name + suffix] for name in names if name + suffix in lower), None)


def _source(file: Path, images: NDArray[Any], labels: NDArray[Any]) -> ImageSource:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        found = f"{file}: images are {images.dtype} of shape {images.shape}, not uint8 [n, height, width, channels]"
        raise DataError(f"{found}; for other inputs use --dataset file.py:callable")
    pixels = images[:, np.newaxis] if images.ndim == 3 else images
    if pixels.shape[1] not in (1, 3) and pixels.shape[-1] in (1, 3):
        pixels = pixels.transpose(0, 3, 1, 2)
    labels = labels.reshape(-1)
    if not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(pixels) or not len(labels) or labels.min() < 0:
        raise DataError(
            f"{file}: labels are {labels.dtype} of shape {labels.shape}, not a class (0, 1, ...) for each of {len(pixels)}"
        )
    if labels.max() >= _MOST_CLASSES:
        raise DataError(f"{file}: label {labels.max()} is more than {_MOST_CLASSES - 1:,}; number the classes 0, 1, ...")
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return ImageSource(file.stem, classes, labels.astype(np.int64), partial(_taken, np.ascontiguousarray(pixels)))


def _taken(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    return pixels[rows]
