"""`ecosel devices`: list the devices of this machine with their meters, or the reasons why they have none."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from profilers.errors import MeterError, ProfilerError
from profilers.files import read_file
from profilers.meters import NoMeter, find_meter

if TYPE_CHECKING:
    from profilers.energy.intervals import Estimate
    from profilers.energy.sensor.probing import IdentifiedSensor, Probe
    from profilers.meters.base import Capabilities, Conditions, PowerMeter, Reading
    from profilers.meters.nvml.boards import Machine

PROBE_S = 12.0
# bytes of a file of readings, and watts of one
_MOST_BYTES, _WATTS = 1_000_000, (1e-6, 1e9)


@dataclass(frozen=True, slots=True)
class Found:
    """A device, and its meter or the reason why it has none."""

    device: str  # the value for --device; nvml:INDEX for a board that CUDA does not show
    name: str
    board: str | None = None
    mig: str | None = None
    meter: str | None = None
    scope: str | None = None
    reason: str | None = None
    capabilities: Capabilities | None = None
    reading: Reading | None = None
    conditions: Conditions | None = None
    probe: Probe | None = None
    probe_reason: str | None = None


@click.command()
@click.option("--probe", is_flag=True, help=f"Find each meter's update period and averaging window; {PROBE_S:.0f} s each.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format.")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    metavar="READINGS.csv",
    help="Fit a board's gain and offset to pairs meter_w,board_w of mean power, and print them for --calibration.",
)
def devices(probe: bool, form: str, calibrate: Path | None) -> None:
    """List the devices of this machine and the meter of each.

    Devices have CUDA's names under CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER. Boards hidden from CUDA can still be read with
    --meter nvml:INDEX. --probe switches a load on and off if torch is installed, so use it on an idle board.
    """
    if calibrate is not None:
        click.echo(_calibration(calibrate))
        return
    machine, driver_reason = _machine()
    found = list(survey(machine, PROBE_S if probe else None))
    driver = None if machine is None else machine.driver
    click.echo(_as_json(found, driver, driver_reason) if form == "json" else _as_text(found, driver, driver_reason))


def _calibration(path: Path) -> str:
    """Fit a calibration to a CSV of mean powers of an external meter and of the board, one line per load."""
    from profilers.energy.intervals import line
    from profilers.meters.calibration import Calibration
    from profilers.meters.known_boards import GAIN_ERROR

    pairs = list(_pairs(path))
    try:
        gain, offset_w = line([meter_w for meter_w, _ in pairs], [board_w for _, board_w in pairs])
        if gain.relative > GAIN_ERROR:
            raise ValueError(
                f"these readings give a gain of {gain.value:.3g} ± {gain.half:.2g}, less certain than that of a board without a "
                f"calibration (± {GAIN_ERROR:.0%}); add readings, at loads farther apart"
            )
        return Calibration(gain.value, offset_w.value, gain.half, offset_w.half).to_json()
    except ValueError as error:
        raise MeterError(f"{path}: {error}") from None


def _pairs(path: Path) -> Iterator[tuple[float, float]]:
    import csv

    try:
        rows = csv.DictReader(read_file(path, most=_MOST_BYTES).decode("utf-8-sig").splitlines())
        if not {"meter_w", "board_w"} <= set(names := rows.fieldnames or ()):
            raise MeterError(f"{path} needs the columns meter_w and board_w, with commas; it has {', '.join(names) or 'none'}")
        for row in rows:
            cells = row["meter_w"], row["board_w"]
            try:
                pair = float(cells[0]), float(cells[1])
            except (TypeError, ValueError):
                pair = math.nan, math.nan
            if not all(_WATTS[0] < watts < _WATTS[1] for watts in pair):
                found = " and ".join("nothing" if cell is None else repr(cell) for cell in cells)
                words = f"both cells must be watts above 0, such as 96.5, not {found[:80]}"
                raise MeterError(f"{path}, line {rows.line_num}: {words}")
            yield pair
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MeterError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _machine() -> tuple[Machine | None, str | None]:
    from profilers.meters.nvml.boards import machine

    try:
        return machine(), None
    except MeterError as error:
        return None, str(error)


def survey(machine: Machine | None, probe_s: float | None) -> Iterator[Found]:
    """Yield the CUDA devices, the boards hidden from CUDA, the GPUs of other makers, and the processor."""
    from profilers.meters.linux.opening import gpus
    from profilers.meters.nvml.cuda import cuda_devices
    from profilers.meters.rapl import processor_name

    shown, hidden = [], "hidden from CUDA in this environment"
    if machine is not None:
        try:
            shown = list(cuda_devices(machine))
        except MeterError as error:
            hidden = str(error)
        for one in shown:
            yield _look(one.name, None, one.board.name, probe_s, one.board.uuid, one.mig_uuid)
        for board in machine.boards:
            if board not in [one.board for one in shown]:
                spec = f"nvml:{board.index}"
                yield _look(spec, spec, board.name, probe_s, board.uuid, reason=hidden)
    for spec, name in gpus():
        yield _look(spec, spec, name, probe_s)
    yield _look("cpu", None, processor_name(), probe_s)


def _look(
    device: str,
    spec: str | None,
    name: str,
    probe_s: float | None,
    board: str | None = None,
    mig: str | None = None,
    reason: str | None = None,
) -> Found:
    try:
        meter = find_meter(spec, device)
        if isinstance(meter, NoMeter):
            return Found(device, name, board, mig, reason=meter.reason)
        with closing(meter):
            reading = meter.read()
            probed, why_not = (None, None) if probe_s is None else _probe(meter, device, probe_s)
            able, conditions = meter.capabilities(), meter.conditions()
            return Found(device, name, board, mig, meter.name, meter.scope, reason, able, reading, conditions, probed, why_not)
    except MeterError as error:
        return Found(device, name, board, mig, reason=str(error))


def _probe(meter: PowerMeter, device: str, probe_s: float) -> tuple[Probe | None, str | None]:
    """Probe a meter under its lock; if torch cannot make a load, probe without one, and state the reason."""
    from profilers.energy.sensor.probing import probe
    from profilers.meters.locks import board_lock
    from profilers.runtimes.square_load import square_load

    uuid = getattr(meter, "uuid", None)
    why_not = None
    try:
        with board_lock(uuid) if uuid else nullcontext():
            click.echo(f"probing {device} for {probe_s:.0f} s", err=True)
            try:
                with square_load(device) as load:
                    return probe(meter, load, seconds=probe_s), None
            except MeterError:
                raise
            except ProfilerError as error:
                why_not = f"no load could be run: {error}"
                return probe(meter, None, seconds=probe_s), why_not
    except MeterError as error:
        return None, f"not probed: {error}"


def _environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}


def _as_json(found: list[Found], driver: str | None, driver_reason: str | None) -> str:
    answer: dict[str, Any] = {
        "nvidia_driver": driver,
        "nvidia_driver_reason": driver_reason,
        "environment": _environment(),
        "devices": [asdict(one) for one in found],
    }
    return json.dumps(answer, indent=2, allow_nan=False)


def _as_text(found: list[Found], driver: str | None, driver_reason: str | None) -> str:
    width = max(len(one.device) for one in found)
    lines = []
    for one in found:
        board = "" if one.board is None else f"  {one.mig or one.board}"
        lines.append(f"{one.device:{width}}  {one.name}{board}")
        lines += [f"{'':{width}}  {key:8}{words}" for key, words in _details(one)]
    lines += ["", f"NVIDIA driver: {driver or driver_reason}"]
    lines += [f"{name}={value}" for name, value in _environment().items() if value is not None]
    return "\n".join(lines)


def _details(one: Found) -> Iterator[tuple[str, str]]:
    able = one.capabilities
    if able is None or one.reading is None:
        yield "meter", f"none: {one.reason}"
        return
    reads = {"instant power": able.power, "average power": able.average_power, "energy counter": able.energy}
    yield "meter", f"{one.meter}: {', '.join(words for words, has in reads.items() if has)} of {one.scope}"
    if one.reason:
        yield "hidden", one.reason
    yield "now", _now(one.reading, one.conditions)
    if one.probe is not None:
        for key, sensor in (("power", one.probe.power), ("average", one.probe.average_power), ("counter", one.probe.energy)):
            if sensor is not None:
                yield key, _sensor(sensor)
    for note in (*able.notes, *one.reading.warnings, *([one.probe_reason] if one.probe_reason else [])):
        yield "note", note


def _now(reading: Reading, conditions: Conditions | None) -> str:
    power_w = reading.power_w if reading.power_w is not None else reading.average_power_w
    words = ["power unknown" if power_w is None else f"{power_w:.1f} W"]
    if conditions is not None:
        words += [] if conditions.temperature_c is None else [f"{conditions.temperature_c:.0f} °C"]
        words += [] if conditions.clock_hz is None else [f"{conditions.clock_hz / 1e6:.0f} MHz"]
        words += [] if not conditions.slowdowns else [f"limited by {', '.join(conditions.slowdowns)}"]
        others = conditions.other_processes
        words += [] if not others else [f"{others} other process{'es' if others > 1 else ''}"]
    return ", ".join(words)


def _sensor(sensor: IdentifiedSensor) -> str:
    words = []
    if sensor.update_period_s is not None:
        words.append(f"updates every {_milliseconds(sensor.update_period_s)}")
    if sensor.averaging_window_s is not None:
        words.append(f"averages over {_milliseconds(sensor.averaging_window_s)}")
    if sensor.time_constant_s is not None:
        words.append(f"time constant {_milliseconds(sensor.time_constant_s)}")
    return "; ".join([*words, *sensor.reasons])


def _milliseconds(estimate: Estimate) -> str:
    ends = [f"{bound * 1e3:.3g}" for bound in (estimate.low, estimate.high) if bound is not None]
    return f"{estimate.value * 1e3:.3g} ms ({' to '.join(ends)})"
