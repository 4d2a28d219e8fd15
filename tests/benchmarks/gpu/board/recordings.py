"""Read the files of a run: a report, and recordings of the board's readings under loads."""

from __future__ import annotations

import io
import json
import math
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from profilers.energy.readings import Floats
from profilers.energy.sensor.probing import IdentifiedSensor, identify

_DENSE_S = 0.0005


@dataclass(frozen=True)
class Recording:
    """Readings of a board, and the times of its loads, on the clock of the run."""

    rows: pl.DataFrame
    loads: Floats

    def series(self, column: str) -> tuple[Floats, Floats]:
        frame = (
            self.rows.select("time_s", column).drop_nulls()
            if column in self.rows.columns
            else self.rows.head(0).select("time_s", "time_s")
        )
        return frame["time_s"].to_numpy(), frame[column].to_numpy()

    def has(self, column: str) -> bool:
        return column in self.rows.columns and self.rows[column].drop_nulls().len() > 1

    def held(self, column: str, at_s: Floats) -> Floats:
        times, values = self.series(column)
        found: Floats = values[np.maximum(np.searchsorted(times, at_s, "right") - 1, 0)]
        return found

    def spent(self, column: str, delay_s: float = 0.0) -> tuple[Floats, Floats]:
        """Return times and joules from an arbitrary origin: those of a power held between changes, or of a counter at its ticks."""
        times, values = self.series(column)
        last = np.flatnonzero(np.diff(values) != 0)
        changed_s, fresh = (times[last] + times[last + 1]) / 2, values[last + 1]
        if column == "energy_j":
            return changed_s, fresh
        edges_s = np.concatenate((times[:1], changed_s, times[-1:]))
        watts = np.concatenate((values[:1], fresh))
        return edges_s - delay_s, np.concatenate(([0.0], np.cumsum(watts * np.diff(edges_s))))

    def mean_w(self, column: str, start_s: float, end_s: float, delay_s: float = 0.0) -> float:
        times, joules = self.spent(column, delay_s)
        if len(times) < 2 or not times[0] <= start_s < end_s <= times[-1]:
            return math.nan
        return float(np.interp(end_s, times, joules) - np.interp(start_s, times, joules)) / (end_s - start_s)

    def on_share(self, start_s: float, end_s: float) -> float:
        each = np.minimum(self.loads[:, 1], end_s) - np.maximum(self.loads[:, 0], start_s)
        return float(np.maximum(each, 0).sum()) / (end_s - start_s)


@dataclass(frozen=True)
class Found:
    """The files of a run: its report and its recordings."""

    report: dict[str, Any]
    recordings: dict[str, Recording]

    @classmethod
    def read(cls, folder: Path) -> Found:
        frames: dict[str, pl.DataFrame] = {}
        with tarfile.open(folder / "board.tar") as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member)
                if file is not None:
                    frames[member.name.removesuffix(".parquet")] = pl.read_parquet(io.BytesIO(file.read()))
        names = [name for name in frames if not name.endswith(".loads")]
        pairs = {name: Recording(frames[name], frames[f"{name}.loads"].to_numpy()) for name in names if f"{name}.loads" in frames}
        return cls(json.loads((folder / "board.json").read_text()), pairs)

    def step(self, name: str) -> Any:
        return self.report["steps"].get(name, {}).get("found")


def identified(one: Recording, column: str, loads: Floats | None) -> IdentifiedSensor:
    """Identify a sensor from a recording that lacks most unchanged rows, as if it had been polled every half millisecond."""
    times = one.rows["time_s"]
    dense_s = np.arange(float(times[0]), float(times[-1]), _DENSE_S)
    return identify(dense_s, one.held(column, dense_s), loads)
