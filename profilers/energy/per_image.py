"""Derive all energy figures from a power trace and the marks of a measurement, when measuring and again to verify."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from profilers.energy.intervals import Estimate, ratio
from profilers.energy.marks import PHASES, Counted, Energy, Span, Window, Windows
from profilers.energy.sampling.trace import PowerTrace
from profilers.energy.window import Floats, counter_energy, naive_energy, power_estimate
from profilers.errors import WindowTooShort

__all__ = ["PHASES", "Counted", "Energy", "Span", "Window", "Windows", "derive", "joules_of", "time_per_image"]

# Differences worth a warning, and those that make a counter implausible (Zeus issue 181: half the energy).
_DISAGREEMENT = 0.02
_SUSPECT = 0.10
# Thermal throttling makes a run incomparable; a power cap is a property of the board and only gives a warning.
_INVALIDATING = {"thermal", "sw-thermal", "hw-thermal", "hw-slowdown", "power-brake"}
_SLOW_SHARE = 0.01
_CLOCK_SPREAD = 0.05
# Half an interval, and the spread of the readings, as shares, above which the interval is wide and the load swings.
_WIDE, _SWING = 0.01, 0.1
_FEW_GROUPS = 8
_SEES, _LONG_IDLE_S = 0.9, 2.0  # a sensor that sees this share of the time is not blind to a part of a load
_FLAT, _FEW_READINGS = 0.05, 4  # readings that spread less than this share of their mean show a load that does not swing
_STARVED = 3  # sampling intervals without a reading


def derive(trace: PowerTrace, marks: Windows, /, *, no_meter: str | None = None, counted: Counted | None = None) -> Energy:
    """Derive all figures; the same trace and marks give the same bits. Without readings, the reason is `no_meter`.

    `counted` replaces the energy by counter between awaited ticks.
    """
    if not len(trace):
        return Energy(reasons=(no_meter or "there is no meter",))
    if not marks.groups:
        return Energy(reasons=("nothing was measured",))
    idle = {name: _idle(trace, marks, getattr(marks, name)) for name in ("idle_cold", "idle_warm", "idle_after")}
    edge_w = idle["idle_after"] or idle["idle_warm"] or 0.0
    counted = counted or Counted(*_by_counter(trace, marks, edge_w), _counter_beside(trace, marks))
    counter, no_counter = counted.estimate, counted.reason
    power, no_power = _by_power(trace, marks)
    disagreement = counter.value / power.value - 1 if counter and power else None
    suspect = _is_suspect(trace, marks, disagreement, power, counted.beside)
    chosen, source = (counter, "counter") if counter and not suspect else (power, "power")
    busy_s = math.fsum(group.duration_s for group in marks.groups)
    images = sum(group.images for group in marks.groups)
    warm_w = idle["idle_warm"]
    found = Energy(
        source=None if chosen is None else f"nvml-{source}" if marks.meter == "nvml" else marks.meter,
        per_inference=chosen,
        counter=counter,
        power=power,
        naive_j=_naive(trace, marks),
        mean_power_w=chosen.value * images / busy_s if chosen else None,
        highest_reading_w=_highest(trace, marks),
        idle_cold_w=idle["idle_cold"],
        idle_warm_w=warm_w,
        idle_after_w=idle["idle_after"],
        above_idle_j=chosen.value - warm_w * busy_s / images if chosen and warm_w is not None else None,
        disagreement=disagreement,
        reasons=tuple(reason for reason in (no_counter, no_power) if reason),
        invalid=_invalid(trace, marks),
        gain_error=marks.gain_error,
        offset_error_w=marks.offset_error_w,
        warnings=(*trace.warnings, *_remarks(trace, marks, disagreement, power, suspect), *_in_step(trace, marks, chosen, power)),
    )
    return found if marks.calibration is None else found.calibrated(marks.calibration, busy_s / images)


def joules_of(trace: PowerTrace, marks: Windows, /) -> list[float] | None:
    """Return the joules of each group, from the source that `derive` chooses for all; None if there is none."""
    whole = derive(trace, marks)
    source = "counter" if whole.counter is whole.per_inference else "power"
    each = []
    for group in marks.groups if whole.per_inference else ():
        others = (*marks.others, *(other for other in marks.groups if other is not group))
        found: Estimate | None = getattr(derive(trace, dataclasses.replace(marks, groups=(group,), others=others)), source)
        if found is None:
            return None
        each.append(found.value * group.images)
    return each or None


def _by_counter(trace: PowerTrace, marks: Windows, edge_w: float) -> tuple[Estimate | None, str | None]:
    if not marks.counter:
        return None, "energy by counter: the meter has none"
    times, joules = trace.series("energy_j")
    busy = sorted((*marks.groups, *marks.others), key=lambda group: group.start_s)
    ends = [-math.inf, *(group.end_s for group in busy)]
    starts = [*(group.start_s for group in busy), math.inf]
    try:
        each = [
            counter_energy(times, joules, group.start_s, group.end_s, idle_w=edge_w, idle_since_s=since_s, idle_until_s=until_s)
            for group, since_s, until_s in zip(busy, ends[:-1], starts[1:], strict=True)
            if group in marks.groups
        ]
    except WindowTooShort as error:
        return None, f"energy by counter: {error}"
    return _per_image(each, marks.groups, "the energy counter")


def _is_suspect(
    trace: PowerTrace, marks: Windows, disagreement: float | None, power: Estimate | None, beside: float | None
) -> bool:
    """Tell whether a counter looks faulty: it differs from the integrated power by more than that may err.

    Where a sensor that sees only part of the time reads a load that swings, the power may be wrong by half: there, the counter is
    suspect only if it differs beside the load too.
    """
    if disagreement is None or power is None or marks.column is None or abs(disagreement) <= _SUSPECT + _doubt(power):
        return False
    times, watts = trace.series(marks.column, edges=False)
    lag_s, early_s = marks.sensor.clean_s, marks.interval_s / 2
    clean = [dataclasses.replace(one, start_s=one.start_s + lag_s, end_s=one.end_s - early_s) for one in marks.groups]
    inside = watts[_within(times, clean)]
    steady = len(inside) > _FEW_READINGS and float(inside.std()) <= _FLAT * float(inside.mean())
    return steady or marks.sensor.seen(marks.interval_s) >= _SEES or (beside is not None and abs(beside) > _SUSPECT)


def _doubt(power: Estimate) -> float:
    return power.relative if math.isfinite(power.relative) else 0.0


def _counter_beside(trace: PowerTrace, marks: Windows) -> float | None:
    """Return the counter divided by the power in the longest span of idleness, minus 1."""
    spans = [span for span in (marks.idle_cold, marks.idle_warm, marks.idle_after) if span and span[1] - span[0] >= _LONG_IDLE_S]
    if not spans or not marks.counter or marks.column is None:
        return None
    span = max(spans, key=lambda one: one[1] - one[0])
    power_w, counter_w = _idle(trace, marks, span), _idle(trace, dataclasses.replace(marks, column=None), span)
    return None if power_w is None or counter_w is None else counter_w / power_w - 1


def _by_power(trace: PowerTrace, marks: Windows) -> tuple[Estimate | None, str | None]:
    if marks.column is None:
        return None, "energy by integrated power: the meter gives no power"
    # readings at the ends of a group are always taken at the same moment of a batch: they are not samples in time
    times, watts = trace.series(marks.column, edges=False)
    paused = marks.pause_s is not None
    since = [group.start_s - marks.pause_s for group in marks.groups] if marks.pause_s is not None else []
    starts = sorted(group.start_s for group in (*marks.groups, *marks.others))
    until = [next((start_s for start_s in starts if start_s >= group.end_s), math.inf) for group in marks.groups]
    try:
        each = [
            power_estimate(
                times,
                watts,
                group.start_s,
                group.end_s,
                sensor=marks.sensor,
                idle_since_s=since[k] if paused else None,
                idle_until_s=until[k] if paused else None,
            )
            for k, group in enumerate(marks.groups)
        ]
    except WindowTooShort as error:
        return None, f"energy by integrated power: {error}"
    if len(each) == 1:
        found, reason = _per_image([each[0].value], marks.groups, "the integrated power")
        return each[0].scaled(1 / marks.groups[0].images) if found else None, reason
    laid_out: dict[str, Any] = {"block": marks.block, "turns": marks.turns}
    return _per_image([one.value for one in each], marks.groups, "the integrated power", **laid_out)


def _per_image(each: list[float], groups: tuple[Window, ...], name: str, **laid_out: Any) -> tuple[Estimate | None, str | None]:
    if min(each) <= 0:
        return None, f"{name} gave {min(each):.3g} J for a load that ran; the meter is not plausible"
    return ratio(each, [group.images for group in groups], **laid_out), None


def _naive(trace: PowerTrace, marks: Windows) -> float | None:
    if marks.column is None:
        return None
    times, watts = trace.series(marks.column, edges=False)
    each = [naive_energy(times, watts, group.start_s, group.end_s) for group in marks.groups]
    known = [joules for joules in each if joules is not None]
    return math.fsum(known) / sum(group.images for group in marks.groups) if len(known) == len(each) else None


def _idle(trace: PowerTrace, marks: Windows, span: Span | None) -> float | None:
    if span is None:
        return None
    if marks.column is not None:
        times, watts = trace.series(marks.column)
        inside = watts[(times >= span[0]) & (times <= span[1])]
        return float(inside.mean()) if len(inside) else None
    times, joules = trace.series("energy_j")
    chosen = (times >= span[0]) & (times <= span[1])
    if chosen.sum() < 2:
        return None
    return float((joules[chosen][-1] - joules[chosen][0]) / (times[chosen][-1] - times[chosen][0]))


def _highest(trace: PowerTrace, marks: Windows) -> float | None:
    if marks.column is not None:
        times, watts = trace.series(marks.column)
    else:
        times, joules = trace.series("energy_j", edges=False)
        if len(times) < 2:
            return None
        times, watts = times[1:], np.diff(joules) / np.diff(times)
    inside = watts[_within(times, marks.groups)]
    return float(inside.max()) if len(inside) else None


def _within(times: Floats, groups: Iterable[Window]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    inside = np.zeros(len(times), bool)
    for group in groups:
        inside |= (times >= group.start_s) & (times <= group.end_s)
    return inside


def _during(trace: PowerTrace, marks: Windows) -> slice:
    """Return the readings of the measurement; if none fell into it, those since the last check of the board's conditions."""
    first, last = np.searchsorted(trace.time_s, (marks.groups[0].start_s, np.nextafter(marks.groups[-1].end_s, np.inf)))
    unchecked = np.isnan(trace.clock_hz) & np.isnan(trace.other_processes) & [text is None for text in trace.slowdowns]
    if unchecked[first:last].all() and len(before := np.flatnonzero(~unchecked[:first])):
        first = before[-1]
    return slice(int(first), int(last))


def _slowdowns(trace: PowerTrace, marks: Windows) -> dict[str, float]:
    """Return the share of the clock checks in which each reason held the clocks down."""
    looks = [text for text in trace.slowdowns[_during(trace, marks)] if text is not None]
    counts = Counter(name for text in looks for name in text.split("+") if name)
    return {name: count / len(looks) for name, count in sorted(counts.items())}


def _invalid(trace: PowerTrace, marks: Windows) -> str | None:
    held = {name: part for name, part in _slowdowns(trace, marks).items() if name in _INVALIDATING and part > _SLOW_SHARE}
    if not held:
        return None
    return "clocks were throttled: " + ", ".join(f"{name} in {part:.0%} of the checks" for name, part in held.items())


def _remarks(
    trace: PowerTrace, marks: Windows, disagreement: float | None, power: Estimate | None, suspect: bool
) -> Iterable[str]:
    if suspect:
        yield f"the board's counter looks faulty: it differs by {disagreement:+.1%} from the integrated power, used instead"
    elif disagreement is not None and power is not None and abs(disagreement) > _DISAGREEMENT + _doubt(power):
        yield f"counter and integrated power disagree by {disagreement:+.1%}"
    during = _during(trace, marks)
    times, _ = trace.series(marks.column or "energy_j", edges=False)
    start_s, end_s = marks.groups[0].start_s, marks.groups[-1].end_s
    # with both ends: if the sampler died, or the board was lost, the rest of the time has no readings
    gaps = np.diff(np.concatenate(([start_s], times[(times > start_s) & (times < end_s)], [end_s])))
    starved = gaps > (limit_s := _STARVED * marks.interval_s)
    if starved.any():
        yield f"the sampler fell behind: {starved.sum()} gaps above {limit_s:.1f} s, the longest {gaps.max():.2f} s"
    for name, part in _slowdowns(trace, marks).items():
        if name not in _INVALIDATING or part <= _SLOW_SHARE:
            yield f"clocks were limited by {name} in {part:.0%} of the checks"
    clocks = trace.clock_hz[during]
    clocks = clocks[~np.isnan(clocks)]
    if len(clocks) and (spread := float(np.ptp(clocks) / np.median(clocks))) > _CLOCK_SPREAD:
        yield f"clocks varied by {spread:.0%} while measuring ({clocks.min() / 1e6:.0f} to {clocks.max() / 1e6:.0f} MHz)"
    others = trace.other_processes[during]
    if (others > 0).any():
        yield f"other processes used the board (at most {int(np.nanmax(others))}): the figures include their energy"


def _in_step(trace: PowerTrace, marks: Windows, chosen: Estimate | None, power: Estimate | None) -> Iterable[str]:
    """State why an interval is wide: the load swings faster than a sensor that sees only part of the time can follow."""
    if marks.column is None or chosen is None or chosen is not power or not chosen.relative > _WIDE:
        return
    times, watts = trace.series(marks.column, edges=False)
    inside = watts[_within(times, marks.groups)]
    seen = marks.sensor.seen(marks.interval_s)
    if 1 < len(marks.groups) < _FEW_GROUPS:
        yield f"the interval is wide because only {len(marks.groups)} groups of batches were measured: measure longer"
    if len(inside) and seen < 0.9 and float(inside.std()) > _SWING * float(inside.mean()):
        period_s = max(marks.sensor.update_period_s, marks.interval_s)
        part = "an unknown part" if marks.sensor.assumed else f"{seen * period_s * 1e3:.0f}"
        yield (
            f"the interval is wide because the load is in step with the sensor, which sees {part} of every {period_s * 1e3:.0f} "
            "ms: use another batch size, or measure longer"
        )


def time_per_image(groups: tuple[Window, ...], /) -> Estimate:
    """Return the seconds per image over groups, with an interval."""
    return ratio([group.duration_s for group in groups], [group.images for group in groups])
