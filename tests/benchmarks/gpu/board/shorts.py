"""Compare the energy of short loads by several methods with that from the board's counter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from profilers.energy.readings import Floats, Sensor, counter_energy, naive_energy
from profilers.energy.window import power_estimate
from profilers.errors import WindowTooShort
from tests.benchmarks.gpu.board.evaluation import SensorFound, against_counter, sensor_of
from tests.benchmarks.gpu.board.polling import READINGS
from tests.benchmarks.gpu.board.recordings import Found, Recording

POLL_S, PHASES = 0.1, 20
_SETTLE_S = 0.25


@dataclass(frozen=True)
class Short:
    """Relative errors of one method on loads of one length, how many it refused, and how often its interval holds the truth."""

    length_s: float
    method: str
    column: str
    errors: Floats
    refused: int = 0
    holds: int | None = None  # number of loads, with the gain against the counter removed
    of: int = 0


def shorts(found: Found, known: dict[str, SensorFound]) -> list[Short]:
    """Compare each method with the counter between the ticks around each load."""
    one, facts = found.recordings.get("short"), found.report.get("short loads", [])
    if one is None or not len(one.loads) or not one.has("energy_j"):
        return []
    gain = {column: 1 + float(np.mean(each)) for column, each in against_counter(found, known, 10.0).items() if len(each)}
    truths = [truth(one, place) for place in range(len(one.loads))]
    lengths = [round(fact["length_s"], 3) for fact in facts]
    answers = []
    for length_s in sorted(set(lengths)):
        places = [at for at, length in enumerate(lengths[: len(truths)]) if length == length_s and math.isfinite(truths[at][0])]
        if not places:
            continue
        for name, number in (("steady power x time", 1), ("between ticks", 2)):
            each = np.array([truths[at][number] / truths[at][0] - 1 for at in places])
            answers.append(Short(length_s, name, "energy_j", each[np.isfinite(each)], int(np.isnan(each).sum())))
        for column in (name for name in READINGS if one.has(name)):
            answers += _recipes(one, column, places, truths, length_s)
            answers.append(_replayed(one, column, places, truths, length_s, sensor_of(column, known), gain.get(column, 1.0)))
        answers.append(_live(facts, places, truths, length_s, gain.get("power_w", 1.0)))
    return answers


def truth(one: Recording, place: int) -> tuple[float, float, float]:
    """Return the joules of a load by the counter, by its power in the longest load times duration, and by ecosel's counter_energy.

    The first is the counter's difference from the last tick before the load to the first tick _SETTLE_S after it, less the idle
    energy; by then, even a counter that lags has counted the whole load.
    """
    on_s, off_s = (float(at) for at in one.loads[place])
    ticks_s, counted_j = one.spent("energy_j")
    first, last = int(np.searchsorted(ticks_s, on_s - 0.02)) - 1, int(np.searchsorted(ticks_s, off_s + _SETTLE_S))
    if first < 0 or last >= len(ticks_s):
        return (math.nan,) * 3
    before_w = one.mean_w("energy_j", on_s - 0.6, on_s - 0.05)
    after_w = one.mean_w("energy_j", off_s + _SETTLE_S, off_s + _SETTLE_S + 0.5)
    before_w, after_w = (float(np.nanmean([before_w, after_w])) if math.isnan(each) else each for each in (before_w, after_w))
    idle_j = before_w * (on_s - float(ticks_s[first])) + after_w * (float(ticks_s[last]) - off_s)
    begin_s, end_s = (float(at) for at in one.loads[int(np.argmax(one.loads[:, 1] - one.loads[:, 0]))])
    load_w = one.mean_w("energy_j", begin_s + min(1.0, (end_s - begin_s) / 3), end_s - 0.1)
    try:
        between_j = counter_energy(*one.series("energy_j"), on_s, off_s, idle_w=before_w)
    except WindowTooShort:
        between_j = math.nan
    return float(counted_j[last] - counted_j[first]) - idle_j, load_w * (off_s - on_s), between_j


def _polled(one: Recording, column: str, place: int, phase: int) -> tuple[Floats, Floats]:
    on_s, off_s = one.loads[place]
    polls = np.arange(on_s - 1.0 + POLL_S * phase / PHASES, off_s + 1.1, POLL_S)
    polls = polls[(polls > one.rows["time_s"][0]) & (polls < one.rows["time_s"][-1])]
    return polls, one.held(column, polls)


def _recipes(
    one: Recording, column: str, places: list[int], truths: list[tuple[float, float, float]], length_s: float
) -> list[Short]:
    """Poll every 100 ms at many phases; return mean times duration, and the trapezoidal sum from the first to the last sample inside."""
    means, areas = [], []
    for place in places:
        on_s, off_s = (float(at) for at in one.loads[place])
        for phase in range(PHASES):
            times, watts = _polled(one, column, place, phase)
            inside = watts[(times >= on_s) & (times <= off_s)]
            means.append(float(inside.mean()) * (off_s - on_s) / truths[place][0] - 1 if len(inside) else -1.0)
            areas.append((naive_energy(times, watts, on_s, off_s) or 0.0) / truths[place][0] - 1)
    return [Short(length_s, "mean x time", column, np.array(means)), Short(length_s, "trapezoid", column, np.array(areas))]


def _replayed(
    one: Recording,
    column: str,
    places: list[int],
    truths: list[tuple[float, float, float]],
    length_s: float,
    sensor: Sensor,
    gain: float,
) -> Short:
    """Apply ecosel's estimate to the same polls, with the sensor that the recordings show."""
    errors, refused, holds = [], 0, 0
    for place in places:
        on_s, off_s = (float(at) for at in one.loads[place])
        for phase in range(PHASES):
            try:
                estimate = power_estimate(*_polled(one, column, place, phase), on_s, off_s, sensor=sensor)
            except WindowTooShort:
                refused += 1
                continue
            errors.append(estimate.value / truths[place][0] - 1)
            holds += _holds(estimate.low, estimate.high, truths[place][0] * gain)
    return Short(length_s, "ours, replayed", column, np.array(errors), refused, holds, len(errors))


def _live(
    facts: list[dict[str, Any]], places: list[int], truths: list[tuple[float, float, float]], length_s: float, gain: float
) -> Short:
    """Take the figures that profilers.window gave during the run."""
    ours = [(facts[place]["ours"], truths[place][0]) for place in places]
    errors = [one["joules"] / truth - 1 for one, truth in ours if one["joules"] is not None]
    holds = sum(_holds(one["low"], one["high"], truth * gain) for one, truth in ours if one["joules"] is not None)
    return Short(length_s, "ours", "power_w", np.array(errors), len(ours) - len(errors), holds, len(errors))


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high
