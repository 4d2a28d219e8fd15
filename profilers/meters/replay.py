"""Replay a recorded trace (Parquet or CSV) as a meter, on the current clock."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from profilers.errors import MeterError
from profilers.files import read_file
from profilers.meters.base import Capabilities, Conditions, Reading
from profilers.meters.counter import GrowingCounter
from profilers.parquet import UnreadableParquet, read_parquet, trace_header

if TYPE_CHECKING:
    import polars as pl

# Largest number of rows read: 6 days at 10 Hz.
_MOST_SAMPLES, _MOST_BYTES = 5_000_000, 500_000_000
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"x\x01", b"x\x9c", b"x\xda")
_NUMBERS = ("power_w", "average_power_w", "energy_j")


class ReplayMeter:
    """Replays a trace with the columns time_s and any of power_w, average_power_w, energy_j, from the moment it is opened.

    A reading is the last sample at or before its moment; past the end, it raises MeterError. A null, NaN or missing number is
    None; a power of 0 or less becomes a warning, as for a board.
    """

    name = "replay"

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._time_s, self._numbers = _load(self._path)
        self._counter = GrowingCounter()
        self._clock = clock
        self._started_s = clock()

    @property
    def scope(self) -> str:
        return f"the recorded trace {self._path.name}"

    def capabilities(self) -> Capabilities:
        has = {name: any(value is not None for value in self._numbers[name]) for name in _NUMBERS}
        length_s = self._time_s[-1] - self._time_s[0]
        return Capabilities(
            power=has["power_w"],
            average_power=has["average_power_w"],
            energy=has["energy_j"],
            notes=(f"a recording of {length_s:.3g} s, not a live measurement",),
        )

    def read(self) -> Reading:
        start_s = self._clock()
        played_s = start_s - self._started_s + self._time_s[0]
        if played_s > self._time_s[-1]:
            raise MeterError(f"the trace {self._path} ended after {self._time_s[-1] - self._time_s[0]:.3f} s; use a longer one")
        place = max(0, bisect_right(self._time_s, played_s) - 1)
        warnings: list[str] = []
        power_w = _believable(self._numbers["power_w"][place], warnings)
        average_w = _believable(self._numbers["average_power_w"][place], warnings)
        counter_j = self._numbers["energy_j"][place]
        energy_j, warning = (None, None) if counter_j is None else self._counter.check(counter_j, start_s, start_s)
        warnings += [] if warning is None else [warning]
        return Reading(
            time_s=start_s,
            duration_s=self._clock() - start_s,
            power_w=power_w,
            average_power_w=average_w,
            energy_j=energy_j,
            power_time_s=None if power_w is None and average_w is None else self._time_s[place],
            energy_time_s=None if energy_j is None else self._time_s[place],
            warnings=tuple(warnings),
        )

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        """Do nothing, as the trace was read whole."""


def open_meter(rest: str, device: str) -> ReplayMeter:
    if not rest:
        raise ValueError("replay needs a recorded trace: replay:FILE")
    return ReplayMeter(rest)


def _believable(power_w: float | None, warnings: list[str]) -> float | None:
    if power_w is None or 0 < power_w < math.inf:
        return power_w
    warnings.append(f"power-unbelievable: the trace says {power_w:g} W")
    return None


def _frame(path: Path) -> pl.DataFrame:
    """Read a recording of plausible length, as a few bytes can declare, or unpack to, any number of rows."""
    import polars as pl

    raw = read_file(path, most=_MOST_BYTES)
    if raw.startswith(_COMPRESSED):
        raise MeterError(f"the trace {path} is compressed; unpack it first")
    is_parquet = raw.startswith(b"PAR1")
    if not is_parquet and raw.count(b"\n") > _MOST_SAMPLES:
        raise MeterError(f"the trace {path} has more than {_MOST_SAMPLES:,} rows; cut it to the part to replay")
    if not is_parquet:
        return pl.read_csv(raw, comment_prefix="#")
    frame, beside = read_parquet(
        raw,
        most=_MOST_SAMPLES,
        columns=lambda schema: [name for name in ("time_s", *_NUMBERS) if name in schema] or [*schema][:9],
    )
    trace_header(beside)
    return frame


def _load(path: Path) -> tuple[list[float], dict[str, list[float | None]]]:
    """Read the columns as lists; raise MeterError with the row at which time does not increase."""
    import polars as pl

    try:
        frame = _frame(path)
        if "time_s" not in frame.columns:
            raise MeterError(f"the trace {path} has no column time_s (it has {', '.join(frame.columns)})")
        frame = frame.select(
            pl.col(name).cast(pl.Float64).fill_nan(None) for name in ("time_s", *_NUMBERS) if name in frame.columns
        )
    except (UnreadableParquet, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise MeterError(f"the trace {path} cannot be read: {' '.join(str(error).split())}") from error
    times: list[float] = []
    for row, time_s in enumerate(frame["time_s"]):
        if time_s is None or not (times[-1] if times else -math.inf) < time_s < math.inf:
            raise MeterError(f"the trace {path} has time_s {time_s} in row {row}; times must increase from row to row")
        times.append(time_s)
    numbers: dict[str, list[float | None]] = {
        name: frame[name].to_list() if name in frame.columns else [None] * len(times) for name in _NUMBERS
    }
    if len(times) < 2 or not any(value is not None for column in numbers.values() for value in column):
        raise MeterError(f"the trace {path} is not a recording: it needs two rows and power_w, average_power_w or energy_j")
    return times, numbers
