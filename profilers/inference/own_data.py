"""Load the user's own batches: call their code, and turn its (inputs, labels) into arguments of calls, and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from profilers.errors import DataError
from profilers.inference.batches import Batch
from profilers.models import factories
from profilers.models.torch_errors import first_line

_LABEL_KEYS = ("labels", "label", "targets", "target")


@dataclass(frozen=True)
class OwnData:
    """Batches of inputs, and the labels of each: [images], or anything that the user's metric accepts."""

    name: str
    batches: tuple[Batch, ...]
    labels: tuple[Any, ...]
    classes: tuple[str, ...] = ()  # unknown


def is_own(spec: str) -> bool:
    """Tell whether a data set is given as code: module:callable or file.py:callable."""
    where, _, name = spec.rpartition(":")
    return bool(where) and name.isidentifier() and "/" not in name


def own_data(spec: str, /, *, batch_size: int, limit: int | None) -> OwnData:
    """Call the user's code and gather its batches, up to `limit` images.

    The callable returns an iterable of (inputs, labels) or of dicts with `labels` among the inputs, or a torch Dataset, to be
    divided into batches. Inputs are a tensor or array, a tuple or list of them (by position), or a dict (by name).
    """
    make = factories.find(spec)
    try:
        found = make()
        if isinstance(found, torch.utils.data.Dataset) and not isinstance(found, torch.utils.data.IterableDataset):
            found = torch.utils.data.DataLoader(found, batch_size=batch_size)
        if not isinstance(found, Iterable):
            raise DataError(f"dataset {spec} gave a {type(found).__name__}, not batches of (inputs, labels)")
        batches, labels, images = [], [], 0
        for one in found:
            batch, label = _batch(spec, one)
            batches.append(batch)
            labels.append(label)
            images += batch.images
            if limit is not None and images >= limit:
                break
    except DataError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"dataset {spec} failed: {type(error).__name__}: {first_line(error)}") from error
    if not batches:
        raise DataError(f"dataset {spec} gave no batches")
    return OwnData(spec, tuple(batches), tuple(labels))


def _batch(spec: str, one: Any) -> tuple[Batch, Any]:
    if isinstance(one, Mapping):
        key = next((name for name in _LABEL_KEYS if name in one), None)
        inputs: Any = {name: value for name, value in one.items() if name != key}
        labels = one[key] if key is not None else None
    elif isinstance(one, tuple | list) and len(one) == 2:
        inputs, labels = one
    else:
        raise DataError(f"dataset {spec} gave a {type(one).__name__}, not (inputs, labels) or a dict with labels")
    inputs, labels = _tensors(inputs), _tensors(labels)
    if isinstance(inputs, dict):
        args, kwargs = (), inputs
    else:
        args, kwargs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {}
    batch = Batch(args, kwargs, 0)
    if not batch.tensors:
        raise DataError(f"dataset {spec}: the inputs of a batch contain no tensor or array")
    count = len(labels) if hasattr(labels, "__len__") and len(labels) else batch.tensors[0].shape[0]
    return Batch(args, kwargs, int(count)), labels


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Mapping):
        return {name: _tensors(one) for name, one in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_tensors(one) for one in value)
    return value
