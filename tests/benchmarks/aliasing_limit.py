"""How much of the error on a100_cycles is in the readings themselves: what one would get who knew the power of every millisecond.

python -m tests.benchmarks.aliasing_limit

Each update, after gain and offset of a100_step, is compared with the meter's power through the sensor's response (an average
over a window, or an exponential approach; fitted here). What is left at the mean power is the board's own: no use of the
readings can remove it. Beside it stands the estimate by whole beats, over cuts of whole cycles.
"""

from __future__ import annotations

import numpy as np

from profilers.energy.readings import Floats
from profilers.energy.window import power_estimate
from tests.benchmarks.boards import SHARED, SHIPPED, Recording, recordings

CUTS = 200
_UPDATE_S = 0.1012


def updates(recording: Recording) -> tuple[Floats, Floats]:
    """Return the updates inside the load, with their times on their own regular grid."""
    changed = np.flatnonzero(np.diff(recording.power_w)) + 1
    seen_s, watts = recording.time_s[changed], recording.power_w[changed]
    numbers = np.round((seen_s - seen_s[0]) / _UPDATE_S)
    slope, start_s = np.polyfit(numbers, seen_s, 1)
    times = start_s + slope * numbers
    inside = (times > recording.loads[0, 0] + 0.15) & (times < recording.loads[-1, 1])
    return times[inside], watts[inside]


def averaged(recording: Recording, times: Floats, window_s: float) -> Floats:
    return np.array([recording.joules(time_s - window_s, time_s) / window_s for time_s in times])


def followed(recording: Recording, times: Floats, constant_s: float) -> Floats:
    shown, step = [float(recording.meter_w[0])], 1 - np.exp(-1e-3 / constant_s)
    for watts in recording.meter_w[1:].tolist():
        shown.append(shown[-1] + step * (watts - shown[-1]))
    return np.interp(times, recording.meter_s + 5e-4, shown)


def main() -> None:
    recording = next(one for one in recordings(SHARED if SHARED.is_dir() else SHIPPED) if one.name == "a100_cycles")
    times, watts = updates(recording)
    truth_w = float(np.mean([recording.joules(*ends) / (ends[1] - ends[0]) for ends in recording.loads[[0, -1], 0][None]]))
    for name, response, lengths_s in (
        ("average over", averaged, np.arange(0.02, 0.04, 0.001)),
        ("exponential,", followed, np.arange(0.008, 0.02, 0.0005)),
    ):
        fits = []
        for length_s in lengths_s.tolist():
            for lag_s in np.arange(-0.004, 0.007, 0.001).tolist():
                terms = np.stack((np.ones(len(times)), response(recording, times - lag_s, length_s) - truth_w), axis=1)
                (level_w, _), squares, *_ = np.linalg.lstsq(terms, watts, rcond=None)
                variance = float(squares[0]) / (len(times) - 4)
                fits.append((variance, float(level_w), float(np.sqrt(variance * np.linalg.inv(terms.T @ terms)[0, 0])), length_s))
        variance, level_w, error_w, length_s = min(fits)
        off, half = (100 * one / truth_w for one in (level_w - truth_w, 1.96 * error_w))
        print(f"{name} {1e3 * length_s:.1f} ms: {variance**0.5:.1f} W left; readings at the mean power {off:+.2f} ± {half:.2f} %")
    rng, starts_s, errors = np.random.default_rng(0), recording.loads[:, 0], []
    for _ in range(CUTS):
        first = int(rng.integers(0, 30))
        start_s, end_s = starts_s[first], starts_s[int(rng.integers(first + 42, len(starts_s)))]
        found = power_estimate(*recording.polled(float(rng.uniform(0, 0.1))), start_s, end_s, sensor=recording.sensor)
        errors.append(100 * (found.value / recording.joules(start_s, end_s) - 1))
    print(f"whole beats, {CUTS} cuts of whole cycles: bias {np.mean(errors):+.2f}, sd {np.std(errors):.2f} %")


if __name__ == "__main__":
    main()
