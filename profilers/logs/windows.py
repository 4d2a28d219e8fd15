"""Turn windows of a log into joules, per inference if their number is known, as `profile` does with its own windows."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profilers.energy.intervals import Estimate
from profilers.energy.readings import naive_energy
from profilers.energy.window import power_estimate
from profilers.errors import MeterError, WindowTooShort
from profilers.files import read_file
from profilers.logs.power_log import PowerLog
from profilers.meters.calibration import Calibration

_GAP_POLLS, _GAP_S, _GAP_SHARE = 3, 0.3, 0.02
_WIDE, _SWING = 0.01, 0.1
_MOST_BYTES = 2_000_000  # of a list of windows


@dataclass(frozen=True)
class Span:
    """A requested window, in times as the user states them."""

    start: str
    end: str
    label: str | None = None
    inferences: int | None = None


@dataclass(frozen=True)
class WindowEnergy:
    """Joules in a window of a log, with the interval of sampling; None for unknown figures."""

    label: str | None
    start_s: float
    end_s: float
    inferences: int | None
    energy_j: float
    energy_j_low: float | None
    energy_j_high: float | None
    energy_per_inference_j: float | None
    naive_energy_j: float | None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "warnings": list(self.warnings)}


def read_spans(path: Path, /) -> list[Span]:
    """Read a CSV of windows: start, end and, if known, label and inferences."""
    try:
        lines = read_file(path, most=_MOST_BYTES).decode("utf-8-sig").splitlines()
        rows = [(number, row) for number, line in enumerate(lines, 1) if line.strip() for row in csv.reader([line])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MeterError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    names = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    names = [name.removesuffix("_s") for name in names]
    if not {"start", "end"} <= set(names):
        raise MeterError(f"{path} has no columns start and end (it has {', '.join(names)[:200] or 'none'})")
    spans = []
    for number, row in rows[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            raise MeterError(f"{path} line {number} has {len(row)} cells instead of {len(names)}")
        cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
        spans.append(
            Span(cells["start"], cells["end"], cells.get("label") or None, _count(path, number, cells.get("inferences")))
        )
    if not spans:
        raise MeterError(f"{path} names no windows")
    return spans


def _count(path: Path, line: int, text: str | None) -> int | None:
    if not text:
        return None
    try:
        count = float(text)
    except ValueError:
        count = 0.0
    if not (count >= 1 and count.is_integer()):
        raise MeterError(f"{path} line {line}: {text!r} is not a number of inferences")
    return int(count)


def energies(log: PowerLog, spans: Sequence[Span], /, *, calibration: Calibration | None = None) -> list[WindowEnergy]:
    """Return the energy of each window; raise a one-line MeterError for one that the log does not determine."""
    placed = [(log.at(span.start), log.at(span.end), span) for span in spans]
    for start_s, end_s, span in placed:
        if not end_s > start_s:
            raise MeterError(f"window {_name(span)} ends at or before its start")
    ordered = sorted(placed, key=lambda one: one[0])
    for (_, end_s, one), (start_s, _, other) in itertools.pairwise(ordered):
        if start_s < end_s:
            raise MeterError(f"windows {_name(one)} and {_name(other)} overlap; their energies cannot be separated")
    return [_energy(log, start_s, end_s, span, calibration) for start_s, end_s, span in placed]


def _name(span: Span) -> str:
    return repr(span.label) if span.label else f"{span.start} to {span.end}"


def _energy(log: PowerLog, start_s: float, end_s: float, span: Span, calibration: Calibration | None) -> WindowEnergy:
    first_s, last_s = float(log.time_s[0]), float(log.time_s[-1])
    if start_s < first_s or end_s > last_s:
        raise MeterError(
            f"window {_name(span)} is outside the log, which covers {log.told(first_s):.3f} to {log.told(last_s):.3f} s"
            + (" from its first row" if log.stamped else "")
        )
    warnings = [*log.warnings, *_gaps(log, start_s, end_s, span)]
    try:
        found = power_estimate(log.time_s, log.power_w, start_s, end_s, sensor=log.sensor)
    except WindowTooShort as error:
        raise MeterError(f"window {_name(span)} of {log.path}: {error}") from None
    warnings += _in_step(log, start_s, end_s, found)
    naive_j = naive_energy(log.time_s, log.power_w, start_s, end_s)
    if calibration is not None:
        low, high = (None if one is None else calibration.joules(one, end_s - start_s) for one in (found.low, found.high))
        found = Estimate(calibration.joules(found.value, end_s - start_s), low, high)
        naive_j = None if naive_j is None else calibration.joules(naive_j, end_s - start_s)
        gain_error, offset_error_w = calibration.gain_error / calibration.gain, calibration.offset_error_w / calibration.gain
        warnings.append(f"the error of the calibration is additional: gain ± {gain_error:.2%} and ± {offset_error_w:.2g} W")
    elif log.gain_error is not None:
        warnings.append(
            f"the error of the board's sensor is additional: gain ± {log.gain_error:.0%} and ± {log.offset_error_w:g} W "
            "(--calibration corrects it); gain cancels between windows of one board"
        )
    if not found.value > 0:
        raise MeterError(f"window {_name(span)} gave {found.value:.3g} J; the log is not plausible there")
    per = found.value / span.inferences if span.inferences else None
    told = log.told(start_s), log.told(end_s)
    return WindowEnergy(
        span.label, *told, span.inferences, found.value, found.low, found.high, per, naive_j, tuple(dict.fromkeys(warnings))
    )


def _gaps(log: PowerLog, start_s: float, end_s: float, span: Span) -> list[str]:
    """Refuse a window with long gaps between readings; mention smaller gaps."""
    inside = log.time_s[(log.time_s > start_s) & (log.time_s < end_s)]
    gaps = np.diff(np.concatenate(([start_s], inside, [end_s])))
    usual_s = float(np.median(np.diff(log.time_s)))
    long = gaps > max(_GAP_POLLS * usual_s, _GAP_S)
    if not long.any():
        return []
    at = log.told(float(np.concatenate(([start_s], inside))[int(gaps.argmax())]))
    words = f"{gaps.max():.2f} s without a reading after {at:.3f} s"
    if float(gaps[long].sum()) > _GAP_SHARE * (end_s - start_s):
        raise MeterError(f"window {_name(span)} of {log.path} has {words}; its energy there is unknown")
    return [f"the log has {words}"]


def _in_step(log: PowerLog, start_s: float, end_s: float, found: Estimate) -> list[str]:
    inside = log.power_w[(log.time_s >= start_s) & (log.time_s <= end_s)]
    seen = log.sensor.seen(float(np.median(np.diff(log.time_s)))) if log.sensor.lag_s else 1.0
    if found.relative <= _WIDE or seen >= 0.9 or float(inside.std()) <= _SWING * float(inside.mean()):
        return []
    part = "an unknown part" if log.sensor.assumed else f"{seen * log.sensor.update_period_s * 1e3:.0f}"
    return [
        f"the interval is wide because the load swings in step with the sensor, which sees {part} of every "
        f"{log.sensor.update_period_s * 1e3:.0f} ms: use another batch size, or a longer window"
    ]
