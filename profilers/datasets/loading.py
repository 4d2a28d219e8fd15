"""Turn the name, folder or Parquet files of a data set into labelled images."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from profilers.datasets.decoding import AS_IT_IS, Fit, ImageSource
from profilers.errors import DataError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class LabelledImages:
    """The images of one split of a data set.

    `mean` and `std` are those of the training images, per channel, for pixels 0..1; None if there are no training images.
    """

    images: NDArray[np.uint8]  # [n, channels, height, width]
    labels: NDArray[np.int64]  # [n], indices into classes
    classes: tuple[str, ...]
    name: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def load_dataset(
    spec: str,
    *,
    split: str = "test",
    download: bool = False,
    limit: int | None = None,
    fitting: Fit = AS_IT_IS,
    statistics: bool = True,
) -> LabelledImages:
    """Load one split of "digits", "cifar10", "cifar100", a folder of class folders, Parquet (file, folder, pattern), or .npz.

    A data set without splits is split here, with 80 % of every class for training, and its name says so.
    If there is no test split, "test" is the validation split.
    `limit` keeps that many images, spread evenly over the rows; `fitting` brings images from files to one size; without
    `statistics`, the training images are not read.
    Raises DataError if the data is missing or damaged, or is not labelled images of one size.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: choose {', '.join(SPLITS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit {limit}: at least 1 image")
    sources = _sources(spec, download=download, fit=fitting)
    wanted = split if split in sources or split != "test" else "valid"
    if wanted not in sources:
        raise DataError(f"{spec} has no {split} split (it has {', '.join(sorted(sources))})")
    _check(sources)
    source = sources[wanted]
    count = len(source.labels)
    rows = np.arange(count, dtype=np.int64)
    kept = rows if limit is None or limit >= count else rows[:limit] * count // limit
    images = source.pixels(kept)
    train = sources.get("train") if statistics else None
    mean, std = _statistics(train, images if wanted == "train" and len(kept) == count else None)
    if mean is not None and (len(mean), images.shape[1]) == (3, 1):  # all grey by chance, in a data set of colour images
        images = np.repeat(images, 3, axis=1)
    if mean is not None and len(mean) != images.shape[1]:
        raise DataError(f"{spec}: training images have {len(mean)} channels, {wanted} images {images.shape[1]}")
    name = source.name if wanted == split else f"{source.name} (validation split)"
    return LabelledImages(images, source.labels[kept], source.classes, name, mean, std)


def splits(spec: str, *, download: bool = False) -> tuple[str, ...]:
    """Return which of "train", "valid" and "test" a data set itself has. Raises DataError if it cannot be found."""
    found = _sources(spec, download=download)
    return tuple(split for split in SPLITS if split in found)


def _sources(spec: str, *, download: bool, fit: Fit = AS_IT_IS) -> dict[str, ImageSource]:
    from profilers.datasets import folders

    if spec in LOADERS:
        return LOADERS[spec](download)
    return folders.find(spec, fit)


def _check(sources: dict[str, ImageSource]) -> None:
    (first, source), *others = sources.items()
    for split, other in others:
        if other.classes != source.classes:
            odd = sorted(set(other.classes) ^ set(source.classes)) or list(other.classes)
            raise DataError(f"{source.name}: classes of {first} and {split} differ ({', '.join(map(repr, odd[:3]))})")
    for split, source in sources.items():
        if len(source.labels) == 0:
            raise DataError(f"{source.name}: the {split} split has no images")
        if len(source.classes) < 2:
            raise DataError(f"{source.name} has one class ({source.classes[0]!r}); accuracy needs two or more")


def _statistics(
    train: ImageSource | None, decoded: NDArray[np.uint8] | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return the mean and standard deviation per channel of the training images, from exact sums of integers."""
    if train is None:
        return None, None
    images = train.pixels(np.arange(len(train.labels))) if decoded is None else decoded
    sums, squares = np.zeros(images.shape[1], np.uint64), np.zeros(images.shape[1], np.uint64)
    for start in range(0, len(images), 1000):  # in blocks, as integers wide enough for the sums take eight times the memory
        block = images[start : start + 1000]
        sums += block.sum(axis=(0, 2, 3), dtype=np.uint64)
        squares += np.square(block, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.uint64)
    pixels = images.size // images.shape[1]
    means = [int(total) / pixels / 255 for total in sums]
    deviations = [
        math.sqrt(pixels * int(square) - int(total) ** 2) / pixels / 255 for total, square in zip(sums, squares, strict=True)
    ]
    return tuple(means), tuple(deviations)


def _digits(download: bool) -> dict[str, ImageSource]:
    """Read the digits that ship with ecosel (data/README.md): 8x8 pixels, 17 grey levels stretched to 0..255."""
    package = Path(__file__).parent.parent.parent
    # data/ is at the top of a checkout, and inside the package ecosel in a wheel
    file = next((file for folder in ("data", "ecosel/data") if (file := package / folder / "digits.npz").is_file()), None)
    if file is None:
        raise DataError("digits.npz is missing from this installation; install ecosel again")
    with np.load(file, allow_pickle=False) as stored:
        images = (stored["images"].astype(np.uint16) * 255 // 16).astype(np.uint8)[:, np.newaxis]
        labels, test = stored["labels"].astype(np.int64), stored["test"]
    classes = tuple(map(str, range(10)))
    rows = {"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}
    return {split: ImageSource("digits", classes, labels[kept], partial(_taken, images[kept])) for split, kept in rows.items()}


def _cifar(name: str, download: bool) -> dict[str, ImageSource]:
    """Read CIFAR-10 or CIFAR-100 with torchvision, which checks the MD5 of the pickled files before it opens them."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(f"{name} needs torchvision; pip install 'ecosel[torch]'") from error
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    root = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "datasets"
    kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    sources = {}
    for split in ("train", "test"):
        try:
            loaded = kind(str(root), train=split == "train", download=download)
        except (RuntimeError, OSError) as error:
            what = f"cannot be downloaded ({error})" if download else "is missing or damaged; run again with --download"
            raise DataError(f"{name} in {root} {what}, or name your own folder") from error
        images = np.ascontiguousarray(loaded.data.transpose(0, 3, 1, 2))
        sources[split] = ImageSource(name, tuple(loaded.classes), np.asarray(loaded.targets, np.int64), partial(_taken, images))
    return sources


def _taken(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    return images[rows]


LOADERS: dict[str, Callable[[bool], dict[str, ImageSource]]] = {
    "digits": _digits,
    "cifar10": partial(_cifar, "cifar10"),
    "cifar100": partial(_cifar, "cifar100"),
}
