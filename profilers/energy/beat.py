"""Find the slow beat between a load and a sensor that sees only part of the time, and the mean power over whole beats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from profilers.energy.intervals import mean_error
from profilers.energy.readings import Floats, Part, Sensor

# If a load repeats every 104 ms, and a sensor looks for 25 of every 101 ms, the readings rise and fall smoothly
# every 3.35 s. A mean over part of a beat is wrong by as much as the load swings; one over whole beats is not.
_FEWEST_READINGS, _MOST_READINGS, _HARMONICS = 24, 3000, 3
_FEWEST_BEATS, _MOST_BEATS = 1.3, 12.0
_SWING = 0.1  # standard deviation of readings, as a share of their mean, below which a beat does not matter
_LEFT = 0.03  # share of the variance left: a load that really switches this slowly has more harmonics, and leaves 7 % or more
_IDLE_READINGS, _FLAT = 3, 0.03  # fewest idle readings at an end, and their largest relative distance from its level
_AFTERGLOW = 0.15  # ... after a load, when boards idle at more power


@dataclass(frozen=True)
class Beat:
    """The mean power over whole beats, its standard error, and the length of a beat."""

    mean_w: float
    error_w: float
    length_s: float


def beat_joules(
    time_s: Floats, power_w: Floats, start_s: float, end_s: float, clean: slice, sensor: Sensor, poll_s: float, /
) -> Part | None:
    """Return the joules of a window from whole beats, with their standard error; None without a beat.

    The readings reach beyond the window, of which the `clean` ones show it alone. The device may idle at its ends.
    """
    apart_s, delay_s = max(poll_s, sensor.update_period_s), sensor.delay_s
    begin, end, busy = 0, 0, clean
    if (beat := find_beat(time_s[clean], power_w[clean], apart_s)) is None:
        begin, end = _idleness(power_w)
        # a reading next to idleness may show some of it
        busy = slice(begin + 1 if begin else clean.start, len(power_w) - end - 1 if end else clean.stop)
        beat = find_beat(time_s[busy], power_w[busy], apart_s) if begin or end else None
    # the load begins and ends between two readings, and readings lag behind the power
    begin_s = max(start_s, float(time_s[begin - 1] + time_s[begin]) / 2 - delay_s) if begin else start_s
    stop_s = min(end_s, float(time_s[-end - 1] + time_s[-end]) / 2 - delay_s) if end else end_s
    if beat is None or begin_s >= stop_s:
        return None
    joules, squares = beat.mean_w * (stop_s - begin_s), (beat.error_w * (stop_s - begin_s)) ** 2
    for idle_w, idle_s in ((power_w[:begin], begin_s - start_s), (power_w[len(power_w) - end :], end_s - stop_s)):
        if len(idle_w):
            joules += float(idle_w.mean()) * idle_s
            squares += ((beat.mean_w - float(idle_w.mean())) * apart_s) ** 2 / 12
        else:  # part of the last cycle, which lasts about as long as an update
            squares += (float(power_w[busy].std()) * apart_s) ** 2 / 48
    return Part(joules, math.sqrt(squares))


def unseen_error(power_w: Floats, /) -> float:
    """Return half the 95 % interval of the mean of readings that miss part of the time.

    Idleness on either side of a steady load is left out. A few readings of a load that swings may hide a part of a beat.
    """
    begin, end = _idleness(power_w, within=_AFTERGLOW, fewest=1)
    busy = power_w[begin + bool(begin) : len(power_w) - end - bool(end)]
    if len(busy) > 1 and float(busy.std()) < _FLAT * float(busy.mean()):
        return mean_error(busy) * len(busy) / len(power_w)
    return max(mean_error(power_w), float(power_w.std()) if len(power_w) < _FEWEST_READINGS else 0.0)


def _idleness(power_w: Floats, *, within: float = _FLAT, fewest: int = _IDLE_READINGS) -> tuple[int, int]:
    """Return how many readings at each end are steady and lower than all others; 0 if there are not enough."""
    idle_w = min(float(np.median(end)) for end in (power_w[:_IDLE_READINGS], power_w[-_IDLE_READINGS:]))
    busy = np.flatnonzero(np.abs(power_w - idle_w * 0.95) > (within + 0.05) * idle_w)
    if not len(busy) or len(busy) <= busy[-1] - busy[0]:
        return 0, 0
    begin, end = int(busy[0]), len(power_w) - 1 - int(busy[-1])
    return begin if begin >= fewest else 0, end if end >= fewest else 0


def find_beat(time_s: Floats, power_w: Floats, /, apart_s: float) -> Beat | None:
    """Fit a mean and a few harmonics of one frequency to readings, new every `apart_s`; None if they are not a smooth beat."""
    took_s = float(time_s[-1] - time_s[0]) if len(time_s) else 0.0
    count = min(len(time_s), took_s / apart_s)
    if not _FEWEST_READINGS <= count <= _MOST_READINGS or float(power_w.std()) < _SWING * float(power_w.mean()):
        return None
    lowest, highest = _FEWEST_BEATS / took_s, _MOST_BEATS / took_s
    rates = np.arange(lowest, highest, 0.05 / took_s)
    left = [_fit(time_s, power_w, rate)[0] for rate in rates.tolist()]
    coarse = float(rates[int(np.argmin(left))])
    fine = np.linspace(max(lowest, coarse - 0.05 / took_s), coarse + 0.05 / took_s, 21)
    fits = [(*_fit(time_s, power_w, rate)[:2], rate) for rate in fine.tolist()]
    squares, mean_w, rate = min(fits)
    total = float(np.square(power_w - power_w.mean()).sum())
    if squares > _LEFT * total:
        return None
    # other rates that fit as well, by the F test at about 95 %, give other means
    freedom = count - 2 * _HARMONICS - 2
    alike = [mean for left_over, mean, _ in fits if left_over <= squares * (1 + 4 / freedom)]
    spread_w = max(abs(mean - mean_w) for mean in alike) / 2
    rest = _fit(time_s, power_w, rate)[2]
    # neighbours have similar errors, as further harmonics are missing, so they count as fewer
    echo = min(max(float((rest[1:] * rest[:-1]).sum()) / max(squares, 1e-12), 0.0), 0.9)
    fewer = (1 + echo) / (1 - echo)
    return Beat(mean_w, math.hypot(math.sqrt(squares * fewer / len(time_s) / freedom), spread_w), 1 / rate)


def _fit(time_s: Floats, power_w: Floats, rate: float) -> tuple[float, float, Floats]:
    """Return the residual sum of squares, the mean, and the residuals."""
    turns = 2 * np.pi * rate * time_s[:, None] * np.arange(1, _HARMONICS + 1)
    terms = np.concatenate((np.ones((len(time_s), 1)), np.cos(turns), np.sin(turns)), axis=1)
    found = np.linalg.lstsq(terms, power_w, rcond=None)[0]
    rest: Floats = power_w - terms @ found
    return float(np.square(rest).sum()), float(found[0]), rest
