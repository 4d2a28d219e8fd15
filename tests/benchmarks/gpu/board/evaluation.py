"""Evaluate the recordings of a run: sensors, the counter compared with integrated power, square waves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats, Sensor
from tests.benchmarks.gpu.board.polling import COLUMNS, READINGS
from tests.benchmarks.gpu.board.recordings import Found, Recording, identified

_LONGEST_DELAY_S = 0.57
_PROBED = {"power_w": "power", "average_power_w": "average_power", "energy_j": "energy"}
_USUAL = {"power_w": (0.1, 0.025), "average_power_w": (0.1, 1.0), "usage_power_w": (0.1, 1.0), "energy_j": (0.0, 0.0)}


@dataclass(frozen=True)
class SensorFound:
    """The sensor behind one reading, as ecosel's probe and as the recordings show it, and the time it takes to show a step."""

    probed: dict[str, Any] | None
    period_s: Estimate | None
    window_s: Estimate | None
    constant_s: Estimate | None
    settled_s: float | None
    reasons: tuple[str, ...]

    def lacks(self, reason: str) -> bool:
        """Tell whether a number is still missing for which one recording gave this reason."""
        if "unknown without the update period" in reason:
            return False
        return self.period_s is None if "update period:" in reason else self.window_s is None and self.constant_s is None


def sensors(found: Found) -> dict[str, SensorFound]:
    probe = (found.step("probe") or {}).get("probe") or {}
    randomly = [facts["recording"] for facts in found.report.get("waves", []) if facts["kind"] == "random"]
    names, answers = ["step", "steady", "short", *randomly], {}
    for column in COLUMNS:
        seen, reasons = [], []
        for name, one in ((name, found.recordings[name]) for name in names if name in found.recordings):
            if one.has(column):
                loads = one.loads if column != "energy_j" and len(one.loads) > 4 else None
                seen.append(identified(one, column, loads))
                reasons += [f"{name}: {reason}" for reason in seen[-1].reasons if loads is not None or "update" in reason]
        probed = probe.get(_PROBED.get(column, ""))
        answers[column] = SensorFound(
            probed,
            _best([one.update_period_s for one in seen]),
            _best([one.averaging_window_s for one in seen]),
            _best([one.time_constant_s for one in seen]),
            _settled(found, column),
            tuple(reasons),
        )
    return answers


def _best(estimates: list[Estimate | None]) -> Estimate | None:
    known = [one for one in estimates if one is not None]
    return min(known, key=lambda one: one.relative) if known else None


def _settled(found: Found, column: str) -> float | None:
    """Return the time from the start of a step until the reading first shows 95 % of it."""
    one = found.recordings.get("step")
    if one is None or column == "energy_j" or not one.has(column) or not len(one.loads):
        return None
    on_s, off_s = one.loads[0]
    times, watts = one.series(column)
    idle, busy = (float(np.median(watts[part])) for part in (times < on_s, (times > (on_s + off_s) / 2) & (times < off_s)))
    shown = times[(times > on_s) & (watts >= idle + 0.95 * (busy - idle))]
    return float(shown[0] - on_s) if len(shown) else None


def sensor_of(column: str, found: dict[str, SensorFound]) -> Sensor:
    """Return the sensor that the recordings show, with usual figures where they show none."""
    one, (period_s, window_s) = found[column], _USUAL[column]
    period = period_s if one.period_s is None else one.period_s.value
    if one.constant_s is not None:
        return Sensor(period, 0.0, one.constant_s.value)
    return Sensor(period, window_s if one.window_s is None else one.window_s.value)


def against_counter(found: Found, known: dict[str, SensorFound], length_s: float) -> dict[str, Floats]:
    """Return integral / counter - 1 for successive windows of one steady load, each between two ticks of the counter."""
    one = found.recordings.get("steady")
    if one is None or not len(one.loads) or not one.has("energy_j"):
        return {}
    ticks_s, counted_j = one.spent("energy_j")
    answers: dict[str, list[float]] = {column: [] for column in READINGS if one.has(column)}
    first_s, last_s = float(one.loads[0, 0]) + 1.5, float(one.loads[0, 1]) - 0.1
    for number in range(int((last_s - first_s) / length_s)):
        begin, end = (int(np.searchsorted(ticks_s, first_s + length_s * at)) for at in (number, number + 1))
        if end >= len(ticks_s):
            break
        start_s, end_s = float(ticks_s[begin]), float(ticks_s[end])
        counter_w = float(counted_j[end] - counted_j[begin]) / (end_s - start_s)
        for column, each in answers.items():
            each.append(one.mean_w(column, start_s, end_s, sensor_of(column, known).delay_s) / counter_w - 1)
    return {column: np.array(each) for column, each in answers.items()}


@dataclass(frozen=True)
class Wave:
    """One square wave: mean power of each reading, in watts, over whole cycles of about a second each."""

    period_s: float | None
    duty: float
    watts: dict[str, float]  # over all of the windows
    each: dict[str, Floats]  # window by window


def waves(found: Found, known: dict[str, SensorFound]) -> list[Wave]:
    answers = []
    for facts in found.report.get("waves", []):
        one = found.recordings.get(facts["recording"])
        if one is not None and len(one.loads) > 3:
            answers.append(_wave(one, facts, known, lead_s=0.5 if found.step("machine")["quick"] else 1.1))
    return answers


def _wave(one: Recording, facts: dict[str, Any], known: dict[str, SensorFound], *, lead_s: float) -> Wave:
    starts_s = one.loads[:, 0]
    bounds = [float(starts_s[np.searchsorted(starts_s, starts_s[0] + lead_s)])] if starts_s[-1] > starts_s[0] + lead_s else []
    starts_s = starts_s[starts_s < float(one.rows["time_s"][-1]) - _LONGEST_DELAY_S]
    while bounds and bounds[-1] + 0.9 <= starts_s[-1]:
        bounds.append(float(starts_s[np.argmin(np.abs(starts_s - bounds[-1] - 1.0))]))
    if len(bounds) == 1 and bounds[0] < starts_s[-1]:
        bounds.append(float(starts_s[-1]))
    watts, each = {}, {}
    spans = list(itertools.pairwise(bounds))
    for column in (name for name in COLUMNS if one.has(name)):
        delay_s = sensor_of(column, known).delay_s if column != "energy_j" else 0.0
        watts[column] = one.mean_w(column, bounds[0], bounds[-1], delay_s) if spans else math.nan
        each[column] = np.array([one.mean_w(column, *span, delay_s) for span in spans])
    duty = one.on_share(bounds[0], bounds[-1]) if spans else math.nan
    return Wave(facts["period_s"], duty, watts, each)
