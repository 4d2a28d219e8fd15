"""Turn a power log (nvidia-smi, a wall meter's CSV, a trace of ecosel) into times and watts of one board."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from profilers.energy.readings import Floats, Sensor
from profilers.energy.sampling.trace import MOST_SAMPLES
from profilers.errors import MeterError
from profilers.files import read_file
from profilers.logs.nvidia_smi import Cells, cells_of, is_stamp, power_columns, seconds_of, states_zone
from profilers.meters.calibration import Calibration
from profilers.meters.known_boards import GAIN_ERROR, OFFSET_ERROR_W, known_lag
from profilers.parquet import UnreadableParquet, read_parquet, trace_header

_ASSUMED = Sensor(0.1, 0.1, assumed=True)
_AVERAGE = Sensor(0.1, 1.0)
# This many lines, shorter than any meter's, are not a log (11 days at 1 Hz).
_MOST_ROWS, _MOST_BYTES = 1_000_000, 500_000_000
# Most boards of a machine, rows in which they are looked for, and the ratio of gaps between and within bunches of rows.
_MOST_BOARDS, _BUNCHES, _BUNCHED = 16, 400, 3.0
_SCALES = {"mw": 1e-3, "w": 1.0, "watt": 1.0, "watts": 1.0, "kw": 1e3}
_EPOCH_S = 1e8  # seconds since 1970, for logs shorter than three years
_TIMES, _POWERS = ("time_s", "time", "timestamp", "seconds", "t", "datetime", "date"), ("power", "watts", "w", "p")
_READ = ("time_s", "power_w", "average_power_w", "edge")  # columns of a trace
_NOT_DRAWN = re.compile(r"limit|factor|max|min|peak|default|enforced|apparent|reactive|state|target|(^|[^a-z])(cap|va|var)\b")
# Times that are not seconds: past the year 5000, or with longer gaps than in a log for short windows.
_LATEST_S, _SLOWEST_S = 1e11, 30.0


@dataclass(frozen=True)
class PowerLog:
    """Readings [n] of one board; `origin_s` is the log's own clock at time 0 of `time_s`."""

    path: str
    time_s: Floats
    power_w: Floats
    sensor: Sensor
    origin_s: float = 0.0
    stamped: bool = False  # the log has time stamps, not seconds
    zoned: bool = False  # the time stamps state their zone
    device: str | None = None
    gain_error: float | None = None
    offset_error_w: float | None = None
    warnings: tuple[str, ...] = ()

    def at(self, text: str, /) -> float:
        """Convert a given time stamp, or seconds, to the clock of `time_s`."""
        text = text.strip()
        try:
            seconds = float(text)
        except ValueError:
            if not self.stamped or not is_stamp(text):
                form = "seconds from its first row, or a time stamp as in it" if self.stamped else "seconds on its own clock"
                raise MeterError(f"{text!r} is not a time in {self.path}; give {form}") from None
            if states_zone(text) != self.zoned:
                stated = (
                    "state their zone: state one" if self.zoned else "state no zone: leave it out, and give the log's local time"
                )
                raise MeterError(f"the time stamps of {self.path} {stated}, for {text!r} too") from None
            return seconds_of(text) - self.origin_s
        if self.zoned and seconds > _EPOCH_S:
            return seconds - self.origin_s
        return seconds if self.stamped else seconds - self.origin_s

    def calibrated(self, calibration: Calibration, /) -> PowerLog:
        """Return the log with the errors that a calibration leaves, for figures corrected by it."""
        gain = calibration.gain
        return replace(self, gain_error=calibration.gain_error / gain, offset_error_w=calibration.offset_error_w / gain)

    def told(self, time_s: float, /) -> float:
        """Return a time on the log's own clock, or in seconds from the first row if the log has time stamps."""
        return time_s if self.stamped else time_s + self.origin_s


def read_log(path: Path, /, *, gpu: str | None = None) -> PowerLog:
    """Read a log; raise a one-line MeterError for a file that is ambiguous or not a log."""
    try:
        raw = read_file(path, most=_MOST_BYTES)
    except OSError as error:
        raise MeterError(f"{path} cannot be read: {error.strerror}") from None
    rows = raw.count(b"\n") + raw.count(b"\r")
    if rows > max(_MOST_ROWS, len(raw) // 10):
        raise MeterError(f"{path} has {rows:,} lines in {len(raw):,} bytes or more; cut the log to the windows")
    if raw[:4] == b"PAR1":
        return _checked(_trace(path, raw, gpu))
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise MeterError(f"{path} is not text; a log is CSV from nvidia-smi or a meter, or a Parquet trace") from None
    cells = cells_of(str(path), text)
    return _checked(_nvidia_smi(path, cells, gpu) if power_columns(cells) else _meter(path, cells, gpu))


def _checked(log: PowerLog) -> PowerLog:
    known = np.isfinite(log.power_w) & (log.power_w > 0)
    times, watts = log.time_s[known], log.power_w[known]
    lost = len(log.time_s) - len(times)
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        at = log.told(float(times[back[0]]))
        raise MeterError(
            f"the clock of {log.path} goes back after {at:.3f} s, by {-np.diff(times)[back[0]]:.3f} s; cut the log there"
        )
    kept = np.concatenate((np.diff(times) > 0, [True])) if len(times) else known[:0]
    if kept.sum() < 3:
        raise MeterError(f"{log.path} holds {int(kept.sum())} power readings; a log needs three or more")
    words = (f"{lost} of {len(log.time_s)} rows have no power",) if lost else ()
    return replace(log, time_s=times[kept], power_w=watts[kept], warnings=(*log.warnings, *words))


def _read(path: Path, schema: pl.Schema) -> list[str]:
    found = [name for name in _READ if name in schema]
    if "time_s" not in found:
        raise MeterError(f"{path} has no columns time_s and power_w (it has {', '.join(list(schema)[:12])})")
    return found


def _trace(path: Path, raw: bytes, gpu: str | None) -> PowerLog:
    if gpu is not None:
        raise MeterError(f"{path} is a trace of one board; leave out --gpu")
    try:
        frame, beside = read_parquet(raw, most=MOST_SAMPLES, columns=partial(_read, path))
        trace_header(beside)
        columns = [name for name in ("power_w", "average_power_w") if name in frame.columns and frame[name].drop_nulls().len()]
        if "time_s" not in frame.columns or not columns:
            raise MeterError(f"{path} has no columns time_s and power_w (it has {', '.join(frame.columns)})")
        frame = frame.filter(~pl.col("edge")) if "edge" in frame.columns else frame
        times, watts = (frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in ("time_s", columns[0]))
    except (UnreadableParquet, pl.exceptions.PolarsError) as error:
        raise MeterError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if not len(times):
        raise MeterError(f"{path} is empty")
    sensor = _ASSUMED if columns[0] == "power_w" else _AVERAGE
    return PowerLog(str(path), times - times[0], watts, sensor, 0.0, False, False, None, GAIN_ERROR, OFFSET_ERROR_W)


def _nvidia_smi(path: Path, cells: Cells, gpu: str | None) -> PowerLog:
    cells = _of_one_board(path, cells, gpu)
    column = next((one for one in power_columns(cells) if np.isfinite(cells.numbers(one)).any()), None)
    if column is None:
        raise MeterError(f"{path} has no power readings: {cells.names[power_columns(cells)[0]]} is not available in any row")
    stamps = cells.stamps()
    if stamps is None:
        raise MeterError(f"{path} has no column timestamp; log with --query-gpu=timestamp,power.draw.instant")
    origin_s = float(stamps[0])
    kind, name = cells.names[column], cells.value("name")
    lag = known_lag(name or "")
    sensor = _ASSUMED if lag is None else Sensor(lag.update_period_s, lag.averaging_window_s, lag.time_constant_s)
    warnings = list(cells.warnings)
    if "average" in kind:
        sensor = _AVERAGE
    elif "instant" not in kind:
        warnings.append("power.draw is a one-second average on some boards since Ampere: log power.draw.instant instead")
    if sensor.assumed:
        warnings.append("the board is not named, so its sensor is unknown: log name too")
    return PowerLog(
        str(path),
        stamps - origin_s,
        cells.numbers(column),
        sensor,
        origin_s,
        True,
        cells.zoned,
        name,
        GAIN_ERROR,
        OFFSET_ERROR_W,
        tuple(warnings),
    )


def _of_one_board(path: Path, cells: Cells, gpu: str | None) -> Cells:
    for key in ("index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id"):
        names = cells.values(key)
        boards = sorted(set(names)) if names else []
        matches = {board for board in boards if gpu and (board == gpu or (key != "index" and board.startswith(gpu)))}
        if names and matches:
            if len(matches) > 1:
                raise MeterError(f"--gpu {gpu} names several boards of {path}: {', '.join(sorted(matches))}")
            return cells.rows([name in matches for name in names])
        if gpu is None and len(boards) > 1:
            raise MeterError(f"{path} holds {len(boards)} GPUs ({', '.join(boards)}); name one with --gpu")
    if gpu is not None and gpu != "0":
        raise MeterError(f"{path} holds no GPU {gpu}")
    stamps, kinds = cells.stamps(), set(cells.values("name") or ())
    if len(kinds) > 1:
        raise MeterError(f"{path} holds several GPUs ({', '.join(sorted(kinds))}) and does not number them; log index too")
    if stamps is not None and len(stamps) > 3 and (np.diff(stamps) == 0).mean() > 0.3:
        raise MeterError(
            f"{path} has rows with the same time stamp: are they of several GPUs (log index too), or cut to seconds?"
        )
    if stamps is not None and _in_turn(stamps):
        raise MeterError(f"{path} seems to hold several GPUs in turn and does not name them; log index too")
    return cells


def _in_turn(stamps: Floats) -> bool:
    """Tell whether rows come in bunches, one row per board, with longer gaps between bunches."""
    gaps = np.diff(stamps)[:_BUNCHES]
    for boards in range(2, _MOST_BOARDS + 1):
        if len(gaps) < 4 * boards:
            break
        usual = np.sort(np.median(gaps[: len(gaps) // boards * boards].reshape(-1, boards), axis=0))
        if usual[-1] > _BUNCHED * max(float(usual[-2]), 1e-3):
            return True
    return False


def _meter(path: Path, cells: Cells, gpu: str | None) -> PowerLog:
    if gpu is not None:
        raise MeterError(f"{path} is from one meter; leave out --gpu")
    cells = cells.dated()
    plain = [re.split(r"[\[\(_ /]", name)[0] for name in cells.names]
    time_at = next((k for k, name in enumerate(plain) if name in _TIMES), None)
    power_at = _power_column(path, cells.names, plain)
    if time_at is None or power_at is None or time_at == power_at:
        raise MeterError(f"{path} has no columns of time and power (it has {', '.join(cells.names)}); name them time and power_w")
    units = re.findall(r"[a-z]+", cells.names[power_at].replace("power", ""))
    scale = next((_SCALES[unit] for unit in reversed(units) if unit in _SCALES), 1.0)
    stamps = cells.stamps(time_at)
    times = cells.numbers(time_at) if stamps is None else stamps
    if not np.isfinite(times).all():
        raise MeterError(f"{path} line {cells.lines[int(np.argmin(np.isfinite(times)))]}: the time cannot be read")
    if re.search(r"(^|[^a-z])ms\b", cells.names[time_at]):
        times = times / 1e3
    elif stamps is None and not re.search(r"(^|[^a-z])(s|sec|seconds)\b", cells.names[time_at]) and _strange_seconds(times):
        raise MeterError(f"{path}: are the times in the column {cells.names[time_at]} seconds? name it time_s, or time_ms")
    watts = cells.numbers(power_at) * scale
    # the meter's lag is unknown, but the area under a load with idleness around it does not depend on it
    origin_s, stamped = float(times[0]), stamps is not None
    zoned = stamped and cells.zoned
    return PowerLog(str(path), times - origin_s, watts, _ASSUMED, origin_s, stamped, zoned, warnings=cells.warnings)


def _power_column(path: Path, names: Sequence[str], plain: Sequence[str]) -> int | None:
    """Return the column of the power drawn, not that of a limit or a factor."""
    found = [
        k for k, name in enumerate(plain) if (name in _POWERS or name.startswith("power")) and not _NOT_DRAWN.search(names[k])
    ]
    exact = [k for k in found if names[k] in ("power_w", "power", "power [w]", "power (w)")]
    if len(exact or found) > 1:
        raise MeterError(f"{path} has several columns of power ({', '.join(names[k] for k in exact or found)}); keep one")
    return next(iter(exact or found), None)


def _strange_seconds(times: Floats) -> bool:
    """Tell whether times look like milliseconds: since 1970, or with only one reading every half a minute."""
    return bool(times[0] > _LATEST_S or (len(times) > 1 and np.median(np.diff(times)) > _SLOWEST_S))
