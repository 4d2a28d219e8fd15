"""Find the slow beat between a load and a sensor that sees only part of the time, and the mean power over whole beats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from profilers.energy.readings import Floats

# If a load repeats every 104 ms, and a sensor looks for 25 of every 101 ms, the readings rise and fall smoothly
# every 3.35 s. A mean over part of a beat is wrong by as much as the load swings; one over whole beats is not.
_FEWEST_READINGS, _MOST_READINGS, _HARMONICS = 24, 3000, 3
_FEWEST_BEATS, _MOST_BEATS = 1.3, 12.0
_SWING = 0.1  # standard deviation of readings, as a share of their mean, below which a beat does not matter
_LEFT = 0.03  # share of the variance left: a load that really switches this slowly has more harmonics, and leaves 7 % or more


@dataclass(frozen=True)
class Beat:
    """The mean power over whole beats, its standard error, and the length of a beat."""

    mean_w: float
    error_w: float
    length_s: float


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
    fits = [(*_fit(time_s, power_w, rate), rate) for rate in fine.tolist()]
    squares, mean_w, rate = min(fits)
    total = float(np.square(power_w - power_w.mean()).sum())
    if squares > _LEFT * total:
        return None
    # other rates that fit as well, by the F test at about 95 %, give other means
    freedom = count - 2 * _HARMONICS - 2
    alike = [mean for left_over, mean, _ in fits if left_over <= squares * (1 + 4 / freedom)]
    spread_w = max(abs(mean - mean_w) for mean in alike) / 2
    return Beat(mean_w, math.hypot(math.sqrt(squares / len(time_s) / freedom), spread_w), 1 / rate)


def _fit(time_s: Floats, power_w: Floats, rate: float) -> tuple[float, float]:
    """Return the residual sum of squares, and the mean."""
    turns = 2 * np.pi * rate * time_s[:, None] * np.arange(1, _HARMONICS + 1)
    terms = np.concatenate((np.ones((len(time_s), 1)), np.cos(turns), np.sin(turns)), axis=1)
    found = np.linalg.lstsq(terms, power_w, rcond=None)[0]
    return float(np.square(power_w - terms @ found).sum()), float(found[0])
