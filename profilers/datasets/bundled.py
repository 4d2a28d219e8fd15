"""Load the data sets that are known by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from profilers.datasets.decoding import ImageSource
from profilers.errors import DataError


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
