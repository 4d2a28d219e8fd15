"""Turn every column into "smaller is better", here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

Sense = Literal["max", "min"]

# Above 2**53 neighbouring integers share one float64.
_EXACT_INT = 2**53


@dataclass(frozen=True)
class Objective:
    """A column of an archive and the direction in which it is better."""

    column: str
    sense: Sense

    def __post_init__(self) -> None:
        if self.sense not in ("max", "min"):
            raise ValueError(f"sense of {self.column!r} is {self.sense!r}; it must be 'max' or 'min'")

    @property
    def is_quality(self) -> bool:
        return self.sense == "max"

    def cost(self, value: float, /) -> float:
        """Return one value as a cost, smaller is better."""
        return 0.0 - value if self.is_quality else value

    def costs(self, values: pl.Series, /) -> NDArray[np.float64]:
        """Return values [n] as costs [n], smaller is better, in an order that equals theirs exactly."""
        # compared in Python, as an unsigned column, or one of 8 or 32 bits, cannot hold the bound
        ends = [abs(end) for end in (values.min(), values.max()) if isinstance(end, int)]
        if max(ends, default=0) > _EXACT_INT:
            values = values.rank("dense").cast(int)
        costs = values.cast(float).to_numpy()
        # 0.0 - x rather than -x: a quality of 0 must not become -0.0, which some libraries sort as a different value
        return 0.0 - costs if self.is_quality else costs


@dataclass(frozen=True)
class Metric:
    """A metric that ecosel knows by its column: name, unit, and when its value is available."""

    objective: Objective
    name: str
    """Its name in sentences."""
    unit: str = ""
    """SI; a fraction is shown in percent."""
    less: str = "less"
    """The word for a smaller amount, such as "less" or "fewer"."""
    is_canonical: bool = False
    """Used as an objective by default."""
    paper_unit: float | None = None
    """One unit of distance under the preset `paper`: 1 s, 1e7 parameters, 10 mJ, all of the accuracy. Not from the paper:
    chosen here, as round numbers that give all nine best trade-offs of its Table I."""
    is_measured: bool = False
    """Available only once inference was measured, after the training."""


ACCURACY = Objective("accuracy", "max")
ENERGY = Objective("energy_per_inference_j", "min")
# The one table of the metrics that ecosel knows; every other column belongs to the user.
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.objective.column: metric
        for metric in (
            Metric(ACCURACY, "accuracy", "%", is_canonical=True, paper_unit=1.0),
            Metric(Objective("inference_time_s", "min"), "inference time", "s", is_canonical=True, paper_unit=1.0,
                   is_measured=True),
            Metric(Objective("parameters", "min"), "parameters", less="fewer", is_canonical=True, paper_unit=1e7),
            Metric(ENERGY, "energy per inference", "J", is_canonical=True, paper_unit=0.010,
                   is_measured=True),
            Metric(Objective("flops", "min"), "FLOPs", less="fewer"),
            Metric(Objective("train_time_s", "min"), "training time", "s"),
            Metric(Objective("file_bytes", "min"), "file size", "B"),
        )
    }
)  # fmt: skip
CANONICAL = tuple(metric.objective for metric in METRICS.values() if metric.is_canonical)
# Names of shares, given as fractions or in percent: top1, val_acc, mAP50, macro_f1, roc_auc, acc@1, "Accuracy (%)".
_SHARE = re.compile(
    r"(?<![a-z])(acc|accuracy|top[-_ ]?[15]|m?ap([@_-]?[.\d]+([-:][.\d]+)?)?|m?ap[sml]|f[-_ ]?1|(roc|pr)?[-_ ]?auc|auroc|auprc"
    r"|recall|precision|m?iou|dice|exact[-_ ]?match)(?![a-z])|%", re.IGNORECASE,
)  # fmt: skip


def is_share(column: str, /) -> bool:
    """Tell whether a column has a usual name of a share, whose best value is 1 or 100."""
    return bool(_SHARE.search(column))


STATUSES = ("ok", "stopped", "collapsed", "nan", "oom", "timeout", "crash", "invalid", "lost")
