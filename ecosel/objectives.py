"""Turn every column into "smaller is better", here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
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
        # compared in Python: a column of 8 or 32 bits, or without a sign, cannot hold the bound
        ends = [abs(end) for end in (values.min(), values.max()) if isinstance(end, int)]
        if max(ends, default=0) > _EXACT_INT:
            values = values.rank("dense").cast(int)
        costs = values.cast(float).to_numpy()
        # 0.0 - x rather than -x: a quality of 0 must not become -0.0, which sorts as another value in some libraries
        return 0.0 - costs if self.is_quality else costs


ACCURACY = Objective("accuracy", "max")
CANONICAL = (
    ACCURACY,
    Objective("inference_time_s", "min"),
    Objective("parameters", "min"),
    Objective("energy_per_inference_j", "min"),
)


@dataclass(frozen=True)
class Quantity:
    """What people call the content of a column, and its unit."""

    name: str
    unit: str = ""
    less: str = "less"


# Fractions are shown in percent, so the unit of accuracy is %.
QUANTITIES = {
    "accuracy": Quantity("accuracy", "%"),
    "inference_time_s": Quantity("inference time", "s"),
    "parameters": Quantity("parameters", less="fewer"),
    "energy_per_inference_j": Quantity("energy per inference", "J"),
    "flops": Quantity("FLOPs", less="fewer"),
    "train_time_s": Quantity("training time", "s"),
}
STATUSES = ("ok", "stopped", "collapsed", "nan", "oom", "timeout", "crash", "invalid", "lost")
