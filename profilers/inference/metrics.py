"""Score the outputs of a pass by the user's own metric."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from profilers.models import factories
from profilers.models.torch_errors import first_line

Better = Literal["larger", "smaller"]


@dataclass(frozen=True)
class OwnMetric:
    """The code of a callable (outputs, labels) → number, and which numbers are better."""

    code: str
    better: Better

    @property
    def name(self) -> str:
        return self.code.rpartition(":")[2]


def measure_metric(metric: OwnMetric, outputs: Iterable[object], labels: Iterable[Any], /) -> tuple[float | None, str | None]:
    """Return the metric of all outputs and labels, or the reason why there is none.

    Tensors are joined along the batch; other outputs and labels are passed as a list with one entry per batch.
    """
    try:
        value = factories.find(metric.code)(_joined(outputs), _joined(labels))
        number = float(value.item() if isinstance(value, torch.Tensor | np.generic) else value)  # type: ignore[arg-type]
    except (Exception, SystemExit) as error:
        return None, f"metric {metric.code} failed: {type(error).__name__}: {first_line(error)}"
    return (number, None) if math.isfinite(number) else (None, f"metric {metric.code} gave {number}")


def kept(output: Any, /) -> Any:
    """Return an output with its tensors in host memory."""
    return tree_map_only(torch.Tensor, lambda tensor: tensor.detach().cpu(), output)


def _joined(values: Iterable[Any]) -> Any:
    gathered = list(values)
    if gathered and all(isinstance(value, torch.Tensor) and value.dim() for value in gathered):
        shapes = {tuple(value.shape[1:]) for value in gathered}
        return torch.cat(gathered) if len(shapes) == 1 else gathered
    return gathered


def class_labels(labels: Iterable[Any], /) -> np.ndarray[Any, np.dtype[np.int64]] | str:
    """Return labels [images] as classes, or the reason why they are not classes."""
    joined = _joined(labels)
    if not isinstance(joined, torch.Tensor):
        try:
            joined = torch.as_tensor([one for batch in joined for one in batch])
        except (TypeError, ValueError):
            return "the labels are not classes; --metric scores others"
    if joined.dim() == 2 and joined.shape[1] == 1:
        joined = joined[:, 0]
    if joined.dim() != 1 or joined.is_floating_point() or joined.is_complex() or joined.dtype == torch.bool:
        return "the labels are not one class for each input; --metric scores others"
    classes: np.ndarray[Any, np.dtype[np.int64]] = joined.to(torch.int64).numpy()
    return classes
