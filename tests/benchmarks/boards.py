"""Error of the energy of windows of real recordings against an external power meter, by three methods.

python -m tests.benchmarks.boards [FOLDER]

FOLDER holds NAME.parquet (readings), NAME.pmd.parquet (the meter), NAME.loads.parquet and expected.json (gain and offset of the
board); data/traces by default, or ../shared/traces where it is there. Readings are polled every 100 ms at 200 random phases.
Columns: bias, standard deviation and largest error in % of the meter's joules; the first three after gain and offset of the
board, the last before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from profilers.energy.readings import Floats, Sensor, naive_energy
from profilers.energy.window import power_estimate
from profilers.errors import WindowTooShort
from profilers.meters.known_boards import known_lag
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "traces"
SHIPPED = ROOT / "data" / "traces"
LENGTHS_S = (1.0, 2.0, 3.0, 5.0)
PHASES = 200
POLL_S = 0.1
_NAMES = {"a100": "NVIDIA A100", "rtx3090": "RTX 3090", "rtx4090": "RTX 4090", "k40m": "Tesla K40m", "a5000": "RTX A5000"}


@dataclass(frozen=True)
class Recording:
    """Readings of one column, corrected by gain and offset, and the meter beside them."""

    name: str
    column: str
    time_s: Floats
    power_w: Floats
    gain: float
    offset_w: float
    sensor: Sensor
    loads: Floats
    meter_s: Floats
    meter_w: Floats

    def joules(self, start_s: float, end_s: float) -> float:
        """Return what the meter saw: its samples are means of a millisecond around their time."""
        edges_s = np.concatenate((self.meter_s - 5e-4, self.meter_s[-1:] + 5e-4))
        spent_j = np.concatenate(([0.0], np.cumsum(self.meter_w * np.diff(edges_s))))
        return float(np.interp(end_s, edges_s, spent_j) - np.interp(start_s, edges_s, spent_j))

    def polled(self, phase_s: float) -> tuple[Floats, Floats]:
        polls = np.arange(self.time_s[0] + phase_s, self.time_s[-1], POLL_S)
        return polls, self.power_w[np.searchsorted(self.time_s, polls, "right") - 1]


@dataclass(frozen=True)
class Errors:
    """Relative errors of one method over phases; refused windows are counted."""

    each: Floats
    refused: int = 0

    def __str__(self) -> str:
        if not len(self.each):
            return "refused"
        return f"{100 * self.each.mean():+.2f} {100 * self.each.std():.2f} {100 * np.abs(self.each).max():.2f}"


def recordings(folder: Path) -> Iterator[Recording]:
    """Yield every recording with a meter, once for each column of power."""
    for name, facts in json.loads((folder / "expected.json").read_text()).items():
        readings = pl.read_parquet(folder / f"{name}.parquet")
        meter = pl.read_parquet(folder / f"{name}.pmd.parquet").to_numpy().T
        loads = pl.read_parquet(folder / f"{name}.loads.parquet").to_numpy()
        lag = known_lag(_NAMES[name.partition("_")[0]])
        assert lag is not None
        for column in (one for one in ("power_w", "average_power_w") if one in readings.columns):
            sensor = Sensor(lag.update_period_s, lag.averaging_window_s, lag.time_constant_s)
            yield Recording(
                name, column, readings["time_s"].to_numpy(), (readings[column].to_numpy() - facts["offset_w"]) / facts["gain"],
                facts["gain"], facts["offset_w"], sensor if column == "power_w" else Sensor(0.1, 1.0), loads, *meter,
            )  # fmt: skip


def windows(recording: Recording, length: float | str, rng: np.random.Generator) -> tuple[float, float]:
    """Return a window of a length at a random place in the load (of whole cycles), the whole load, or it with 4 s of idleness."""
    first, last = float(recording.loads[0, 0]), float(recording.loads[-1, 1])
    if length == "whole":
        return first, last
    if length == "load with idle":
        return first, min(last + 4.0, float(recording.meter_s[-1]))
    if len(recording.loads) > 1:
        starts = recording.loads[:, 0]
        cycles = round(float(length) / float(np.diff(starts).mean()))
        at = int(rng.integers(3, len(starts) - cycles))
        return float(starts[at]), float(starts[at + cycles])
    start_s = float(rng.uniform(first + 0.5, max(first + 0.51, last - float(length) - 0.1)))
    return start_s, start_s + float(length)


def errors(recording: Recording, length: float | str, *, phases: int = PHASES, seed: int = 0) -> dict[str, Errors]:
    """Return the errors of each method, and of ours on readings as the board gave them."""
    rng = np.random.default_rng(seed)
    raw = replace(recording, power_w=recording.power_w * recording.gain + recording.offset_w)
    found: dict[str, list[float]] = {"trapezoid": [], "mean x time": [], "ours": [], "ours, raw": []}
    for _ in range(phases):
        phase_s, (start_s, end_s) = float(rng.uniform(0, POLL_S)), windows(recording, length, rng)
        truth_j = recording.joules(start_s, end_s)
        times, watts = recording.polled(phase_s)
        found["trapezoid"].append((naive_energy(times, watts, start_s, end_s) or 0.0) / truth_j - 1)
        inside = watts[(times >= start_s) & (times <= end_s)]
        found["mean x time"].append(float(inside.mean()) * (end_s - start_s) / truth_j - 1)
        for name, one in (("ours", recording), ("ours, raw", raw)):
            try:
                estimate = power_estimate(*one.polled(phase_s), start_s, end_s, sensor=recording.sensor)
            except WindowTooShort:
                continue
            found[name].append(estimate.value / truth_j - 1)
    return {name: Errors(np.array(each), phases - len(each)) for name, each in found.items()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED if SHARED.is_dir() else SHIPPED
    print("| recording | window | trapezoid | mean x time | ours | ours before gain |\n| --- | --- | --- | --- | --- | --- |")
    for recording in recordings(folder):
        kind = "average" if recording.column == "average_power_w" else "instant"
        for length in (*LENGTHS_S, "whole", "load with idle"):
            cells = [str(one) for one in errors(recording, length).values()]
            words = f"{length:g} s" if isinstance(length, float) else length
            print(f"| {recording.name} {kind} | {words} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
