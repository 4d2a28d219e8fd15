"""Find the splits of a data set in folders of images, or in Parquet files as published on model hubs."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profilers.datasets.arrays import of_npz
from profilers.datasets.decoding import Fit, ImageSource, decode
from profilers.errors import DataError
from profilers.parquet import UnreadableParquet, read_parquet

_SPLIT_OF = {
    "train": "train", "training": "train", "test": "test",
    "val": "valid", "valid": "valid", "validation": "valid", "dev": "valid",
}  # fmt: skip
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
_IMAGE_COLUMNS, _LABEL_COLUMNS = ("img", "image"), ("label", "labels", "fine_label")
_MOST_ROWS = 20_000_000
_TRAIN_SHARE = 0.8


def find(spec: str, fit: Fit) -> dict[str, ImageSource]:
    """Return the splits under a folder, or in the Parquet files that a path or pattern names."""
    path = Path(spec)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.parquet") if file.is_file())
        return _parquet(spec, files, fit, base=path) if files else _tree(path, fit)
    files = [path] if path.is_file() else [Path(name) for name in sorted(glob.glob(spec, recursive=True))]
    if not files:
        hint = "; get it from https://datashare.ed.ac.uk/handle/10283/3192 and name its folder" if spec == "cinic10" else ""
        raise DataError(f"no data set {spec}: it is not digits, cifar10 or cifar100, nor a folder or Parquet file here{hint}")
    if odd := next((file for file in files if not file.is_file()), None):
        raise DataError(f"{odd} is a folder, a pipe or a device; name files")
    if [file.suffix.lower() for file in files] == [".npz"]:
        return of_npz(files[0])
    return _parquet(spec, files, fit, base=files[0].parent)


def _tree(root: Path, fit: Fit) -> dict[str, ImageSource]:
    """Read train/ and test|val|valid/ with one folder per class in each, or a single such folder, which is split here."""
    below = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    splits = {_SPLIT_OF[folder.name.lower()]: folder for folder in below if folder.name.lower() in _SPLIT_OF}
    if splits and len(splits) == len(below):
        return {split: _labelled(root, folder, fit) for split, folder in splits.items()}
    return _split(_labelled(root, root, fit))


def _labelled(root: Path, folder: Path, fit: Fit) -> ImageSource:
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not classes:
        raise DataError(f"{folder} has no class folders with images")
    files: list[Path] = []
    labels: list[int] = []
    for label, child in enumerate(classes):
        found = sorted(file for file in child.rglob("*") if file.suffix.lower() in _PICTURES and file.is_file())
        if not found:
            raise DataError(f"class folder {child} has no images ({', '.join(sorted(_PICTURES))})")
        files += found
        labels += [label] * len(found)
    return ImageSource(
        root.name, tuple(child.name for child in classes), np.asarray(labels, np.int64), partial(_of_files, files, fit)
    )


def _of_files(files: list[Path], fit: Fit, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    chosen = [files[row] for row in rows]
    return decode([repr(str(file)) for file in chosen], lambda row: chosen[row].read_bytes(), fit)


def _split(whole: ImageSource) -> dict[str, ImageSource]:
    """Split a data set, always in the same way: 80 % of every class for training, at least one image on each side."""
    order = np.random.default_rng(0).permutation(len(whole.labels))
    train = np.zeros(len(whole.labels), bool)
    for label in range(len(whole.classes)):
        members = order[whole.labels[order] == label]
        if len(members) < 2:
            raise DataError(f"{whole.name}: class {whole.classes[label]!r} has {len(members)} image; splitting needs 2 or more")
        train[members[: min(round(_TRAIN_SHARE * len(members)), len(members) - 1)]] = True
    name = f"{whole.name} (split here: 80 % of every class to train)"
    rows = {"train": np.flatnonzero(train), "test": np.flatnonzero(~train)}
    return {
        split: ImageSource(name, whole.classes, whole.labels[kept], partial(_among, whole, kept)) for split, kept in rows.items()
    }


def _among(whole: ImageSource, kept: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    return whole.pixels(kept[rows])


def _parquet(spec: str, files: list[Path], fit: Fit, *, base: Path) -> dict[str, ImageSource]:
    groups: dict[str | None, list[Path]] = {}
    for file in files:
        groups.setdefault(_named_split(file.relative_to(base)), []).append(file)
    tables = {split: _table(group) for split, group in groups.items()}
    named = {names for _, _, names in tables.values()}
    if len(named) > 1:
        raise DataError(f"{spec}: the files have different classes")
    labels = {split: table[label] for split, (table, label, _) in tables.items()}
    values = {split: column.unique().sort().to_list() for split, column in labels.items()}
    name = base.name if len(files) > 1 else files[0].stem
    (classes,) = named
    sources = {split or "": _of_table(name, tables[split][0], labels[split], classes, values[split], fit) for split in tables}
    if set(sources) == {""}:
        return _split(sources[""])
    if "" in sources:
        raise DataError(f"{spec}: {groups[None][0]} has none of train, test and validation in its name")
    return sources


def _named_split(file: Path) -> str | None:
    """Return the split that the last word of a path names, as in data/train-00000-of-00001.parquet."""
    words = [word for part in file.parts for word in re.split(r"[^a-z]+", part.lower()) if word in _SPLIT_OF]
    return _SPLIT_OF[words[-1]] if words else None


def _table(files: list[Path]) -> tuple[pl.DataFrame, str, tuple[str, ...] | None]:
    """Return the columns image and label, the name of the label, and the class names if the files state them."""
    frames, label, names = [], "", None
    for file in files:
        try:
            frame, beside = read_parquet(file, most=_MOST_ROWS, columns=partial(_images_and_labels, file))
        except (UnreadableParquet, OSError) as error:
            raise DataError(f"{file} cannot be read as a Parquet file: {str(error)[:100]}") from error
        image, label = frame.columns
        content = frame[image].dtype
        frames.append(frame.rename({image: "image"}))
        names = _class_names(beside, label)
        if isinstance(content, pl.Struct) and "bytes" in {field.name for field in content.fields}:
            frames[-1] = frames[-1].with_columns(pl.col("image").struct.field("bytes").alias("image"))
        if frames[-1]["image"].dtype != pl.Binary:
            raise DataError(f"{file}: column {image!r} holds {content}, not encoded images")
        if missing := frames[-1]["image"].null_count():
            raise DataError(f"{file}: {missing} images are named by path, not stored in the file")
        kind = frames[-1][label].dtype
        if not (kind.is_integer() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum, pl.Null)):
            raise DataError(f"{file}: column {label!r} holds {str(kind)[:80]}, not numbers or names of classes")
        if missing := frames[-1][label].null_count():
            raise DataError(f"{file}: {missing} images have no label")
    return pl.concat(frames), label, names


def _images_and_labels(file: Path, schema: Iterable[str]) -> list[str]:
    return [_column(file, schema, _IMAGE_COLUMNS, "image"), _column(file, schema, _LABEL_COLUMNS, "label")]


def _column(file: Path, schema: Iterable[str], names: tuple[str, ...], what: str) -> str:
    found = next((name for name in names if name in schema), None)
    if found is None:
        raise DataError(f"{file} has no {what} column ({' or '.join(names)}); it has {', '.join(map(repr, list(schema)[:6]))}")
    return found


def _class_names(metadata: dict[str, str], label: str) -> tuple[str, ...] | None:
    try:
        names = json.loads(metadata["huggingface"])["info"]["features"][label]["names"]
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _of_table(
    name: str, table: pl.DataFrame, labels: pl.Series, names: tuple[str, ...] | None, values: list[object], fit: Fit
) -> ImageSource:
    if names is None:
        classes, index = tuple(map(str, values)), {value: row for row, value in enumerate(values)}
    else:
        classes, index = names, {row: row for row in range(len(names))}
        if odd := [value for value in values if value not in index]:
            raise DataError(f"{name}: label {odd[0]!r} is not one of {len(names)} named classes")
    rows = np.fromiter((index[value] for value in labels), np.int64, len(labels))
    return ImageSource(name, classes, rows, partial(_of_column, name, table["image"], fit))


def _of_column(name: str, column: pl.Series, fit: Fit, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    chosen = column.gather(rows)  # one by one, as a file holds an image only once even if it is in many rows
    return decode([f"{row} of {name}" for row in rows], lambda row: bytes(chosen[row]), fit)
