"""Turn the files of a run into one table, one picture, and recordings to commit.

python -m tests.benchmarks.gpu.board.page OUT FOLDER [--standin]

This writes board.md, board.png, board.json and a recording of each step, named after the folder, into FOLDER. It needs no GPU.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats
from tests.benchmarks.gpu.board.evaluation import SensorFound, Wave, against_counter, sensors, waves
from tests.benchmarks.gpu.board.picture import picture
from tests.benchmarks.gpu.board.polling import COLUMNS
from tests.benchmarks.gpu.board.recordings import Found
from tests.benchmarks.gpu.board.shorts import PHASES, Short, shorts

_LENGTHS_S = (10.0, 30.0, 60.0)
_NONE = "–"
Row = tuple[str, dict[str, str]]


def main() -> None:
    out, folder = Path(sys.argv[1]), Path(sys.argv[2])
    found = Found.read(out)
    if (found.step("machine") or {}).get("standin") and "--standin" not in sys.argv:
        sys.exit("these figures are of a stand-in, not of a board")
    folder.mkdir(parents=True, exist_ok=True)
    known = sensors(found)
    seen, short = waves(found, known), shorts(found, known)
    (folder / "board.md").write_text(table(found, known, seen, short))
    (folder / "board.json").write_text(json.dumps(found.report, indent=1))
    picture(found, known, seen, short, folder / "board.png")
    print(f"recordings: {write_recordings(found, folder):,} bytes")


def table(found: Found, known: dict[str, SensorFound], seen: list[Wave], short: list[Short]) -> str:
    rows = [*_sensor_rows(known), *_counter_rows(found, known), *_wave_rows(seen), *_short_rows(short)]
    lines = ["| | instant power | average power | nvmlDeviceGetPowerUsage | energy counter |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {name} | {' | '.join(cells.get(column, _NONE) for column in COLUMNS)} |" for name, cells in rows]
    return "\n".join([*lines, "", *_notes(found, known)]) + "\n"


def _notes(found: Found, known: dict[str, SensorFound]) -> list[str]:
    cost = found.report.get("cost of one call", {})
    polling = found.report["recordings"].get("steady", {}).get("polling", {})
    facts = found.step("machine") or {}
    lines = [
        "Measured with " + ", ".join(f"{name} {value}" for name, value in facts.items() if name not in ("standin", "quick")) + "."
    ]
    lines += [f"`python -m tests.benchmarks.gpu.board {' '.join(found.report['command'])}`"]
    lines += [f"Load: {found.report.get('load words')}."]
    lines += [f"Polling in the steady load: {json.dumps(polling)}." if polling else "There is no steady recording."]
    lines += [f"One call: {json.dumps(cost)}."] if cost else []
    for column, one in known.items():
        lines += [f"{column}: {reason}." for reason in dict.fromkeys(one.reasons) if one.lacks(reason)]
    for name, step in found.report["steps"].items():
        lines += [f"{name}: {step['reason']}."] if step.get("reason") else []
    return lines


def _ms(one: Estimate | dict[str, Any] | None) -> str:
    if one is None:
        return _NONE
    value, low, high = (one.value, one.low, one.high) if isinstance(one, Estimate) else (one["value"], one["low"], one["high"])
    ends = "" if low is None or high is None else f" ({low * 1e3:.4g} to {high * 1e3:.4g})"
    return f"{value * 1e3:.4g}{ends}"


def _sensor_rows(known: dict[str, SensorFound]) -> list[Row]:
    def probed(name: str) -> dict[str, str]:
        return {column: _ms(one.probed.get(name)) for column, one in known.items() if one.probed}

    rows = [
        ("update period or tick, ms, from `ecosel devices --probe`", probed("update_period_s")),
        ("update period or tick, ms, from fast polls", {column: _ms(one.period_s) for column, one in known.items()}),
        ("averaging window, ms, from `ecosel devices --probe`", probed("averaging_window_s")),
        ("averaging window, ms, from fast polls", {column: _ms(one.window_s) for column, one in known.items()}),
    ]
    constants = {column: _ms(one.constant_s) for column, one in known.items() if one.constant_s}
    rows += [("time constant, ms, from fast polls", constants)] if constants else []
    settled = {column: f"{one.settled_s * 1e3:.0f}" for column, one in known.items() if one.settled_s is not None}
    return [*rows, ("time until 95 % of a step is shown, ms", settled)]


def _percent(each: Floats) -> str:
    if not len(each) or not np.isfinite(each).any():
        return _NONE
    if len(each) == 1:
        return f"{100 * each[0]:+.2f}"
    return f"{100 * np.nanmean(each):+.2f} ({100 * np.nanmin(each):+.2f} to {100 * np.nanmax(each):+.2f})"


def _counter_rows(found: Found, known: dict[str, SensorFound]) -> list[Row]:
    rows = []
    for length_s in _LENGTHS_S:
        each = against_counter(found, known, length_s)
        count = max((len(one) for one in each.values()), default=0)
        cells = {column: _percent(one) for column, one in each.items()}
        name = f"integral of power compared with the counter over {length_s:.0f} s, % (n = {count})"
        rows.append((name, cells | {"energy_j": "reference"}))
    return rows


def _wave_rows(seen: list[Wave]) -> list[Row]:
    rows = []
    for one in sorted(seen, key=lambda wave: wave.period_s or 0.0):
        name = "random periods, 20 to 300 ms" if one.period_s is None else f"{one.period_s * 1e3:.4g} ms"
        cells = {}
        for column, whole in one.watts.items():
            each = one.each[column]
            span = f" ({each.min():.0f} to {each.max():.0f})" if len(each) > 1 else ""
            cells[column] = f"{whole:.0f}{span}" if np.isfinite(whole) else _NONE
        rows.append((f"square wave, {name}, {one.duty:.0%} of the time on: mean W (range of single seconds)", cells))
    steady = [one for one in seen if one.period_s is not None]
    if len(steady) > 1:
        spread = {
            column: f"{100 * np.nanstd(every, ddof=1) / np.nanmean(every):.1f}"
            for column in COLUMNS
            if len(every := [one.watts[column] for one in steady if column in one.watts]) > 1
        }
        rows.append((f"standard deviation of the mean power over {len(steady)} periods, %", spread))
    return rows


def _short_rows(short: list[Short]) -> list[Row]:
    rows: dict[str, dict[str, str]] = {}
    words = {
        "steady power x time": "power of the longest load x time, both from the counter",
        "between ticks": "`counter_energy` between ticks", "mean x time": "the paper's recipe, mean x time",
        "trapezoid": "the paper's recipe, trapezoid", "ours, replayed": "`power_estimate` from the same polls",
        "ours": "`profilers.window`",
    }  # fmt: skip
    for one in short:
        each, times = one.errors, "" if one.method in ("ours", "steady power x time", "between ticks") else f" x {PHASES} phases"
        count = len(each) if not times else (len(each) + one.refused) // PHASES
        name = f"load of {one.length_s:g} s, {words[one.method]} (n = {count}{times}): bias, sd, max %"
        cell = _NONE
        if len(each):
            cell = f"{100 * each.mean():+.2f}, {100 * each.std():.2f}, {100 * np.abs(each).max():.2f}"
        cell += f"; {one.refused} refused" if one.refused else ""
        cell += f"; interval contains the truth in {one.holds} of {one.of}" if one.holds is not None else ""
        rows.setdefault(name, {})[one.column] = cell
    return list(rows.items())


def write_recordings(found: Found, folder: Path) -> int:
    """Write one recording per step, all square waves in one, with time 0 at the first row; return the size in bytes."""
    groups = {name: [name] for name in found.recordings if not name.startswith("squares")}
    if waved := sorted(name for name in found.recordings if name.startswith("squares")):
        groups["squares"] = waved
    size = 0
    for name, parts in groups.items():
        rows = pl.concat([found.recordings[part].rows for part in parts], how="diagonal")
        loads = pl.DataFrame(
            np.concatenate([found.recordings[part].loads for part in parts]), schema=["on_s", "off_s"], orient="row"
        )
        first_s = float(rows["time_s"][0])
        rows = rows.with_columns((pl.col("time_s") - first_s).round(5))
        loads = loads.with_columns((pl.all() - first_s).round(5))
        for path, frame in (
            (folder / f"{folder.name}_{name}.parquet", rows),
            (folder / f"{folder.name}_{name}.loads.parquet", loads),
        ):
            frame.write_parquet(path, compression="zstd", compression_level=19)
            size += path.stat().st_size
    return size


if __name__ == "__main__":
    main()
