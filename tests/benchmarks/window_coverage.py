"""Measure bias, error and coverage of windows of `profilers.window` on a board whose counter ticks every 100 ms.

python -m tests.benchmarks.window_coverage [WINDOWS]     simulated windows
python -m tests.benchmarks.window_coverage recorded      windows over the loads recorded on an H200, in data/h200

In simulation, power is 130 W when idle, with a spread of 1.1 % from tick to tick, and 700 W under load with 2 % (as measured on an H200), 15 %
more in the first 50 ms. Readings take 2.4 ms (95 %: 5.7, at most 17), as with its driver; the phases of counter, sensor and polls
are random.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from profilers.energy.counter.ticks import TAIL_S, window_by_ticks
from profilers.energy.readings import Floats, Sensor
from profilers.energy.sampling.trace import COLUMNS, PowerTrace
from profilers.errors import WindowTooShort
from tests.benchmarks.gpu.board.recordings import Recording
from tests.benchmarks.gpu.board.shorts import truth
from tests.conftest import ROOT
from tests.profilers.simulated import Board

SENSOR = Sensor(0.1012, 0.025)
LENGTHS_S = (0.03, 0.1, 0.3, 1.0, 10.0)
PLACES = ("idle around", "idle, first window", "inside a load", "load before", "load after", "load of 101.7 ms in step")
_STEP_S = 0.005
_IDLE_W, _LOAD_W, _OTHER_W = 130.0, 700.0, 400.0
_CALL_S = 0.0024  # of one reading on the H200, median
_PHASES = 20


@dataclass(frozen=True)
class Experiment:
    """Relative error of one window and half of its interval, also relative."""

    error: float
    half: float

    @property
    def holds(self) -> bool:
        return abs(self.error) <= self.half


def experiment(place: str, length_s: float, seed: int) -> Experiment | None:
    rng = np.random.default_rng(seed)
    board = Board(SENSOR.update_period_s, SENSOR.averaging_window_s, phase=float(rng.uniform()))
    start_s = 2.0 + float(rng.uniform(0, 0.2))
    end_s = start_s + length_s
    for seconds, watts in _powers(place, start_s, length_s, rng):
        board.spend(seconds, watts)
    trace = _read(board, start_s, end_s, rng, since_s=start_s - 0.003 if "first" in place else 0.1)
    truth_j = float(board.energy(end_s) - board.energy(start_s))
    try:
        found = window_by_ticks(trace, start_s, end_s, column="power_w", sensor=SENSOR).estimate
    except WindowTooShort:
        return None
    assert found is not None
    return Experiment(found.value / truth_j - 1, found.half / truth_j)


def _powers(place: str, start_s: float, length_s: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    before_w, after_w = _IDLE_W, _IDLE_W
    if place == "inside a load":
        before_w = after_w = _LOAD_W
    elif place == "load before":
        before_w = _OTHER_W
    elif place == "load after":
        after_w = _OTHER_W
    yield from _noisy(start_s, before_w, rng)
    if "in step" in place:
        half_s, left_s = 0.1017 / 2, length_s
        for number in range(round(length_s / half_s) + 1):
            yield min(half_s, left_s), _IDLE_W if number % 2 else _LOAD_W
            left_s = max(0.0, left_s - half_s)
    else:
        surge_s = min(0.05, length_s) if before_w < _LOAD_W else 0.0
        yield surge_s, 1.15 * _LOAD_W
        yield from _noisy(length_s - surge_s, _LOAD_W, rng)
    yield from _noisy(2.0, after_w, rng)


def _noisy(seconds: float, watts: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Yield steps of power whose means from tick to tick vary by 1.1 % when idle and by 2 % under load."""
    spread = (0.011 if watts == _IDLE_W else 0.02) * np.sqrt(0.1 / _STEP_S)
    whole = int(seconds / _STEP_S)
    for factor in 1 + spread * rng.standard_normal(whole):
        yield _STEP_S, watts * max(0.1, float(factor))
    yield seconds - whole * _STEP_S, watts


def _read(board: Board, start_s: float, end_s: float, rng: np.random.Generator, since_s: float) -> PowerTrace:
    """Read as the sampler does: every 100 ms, at both ends, and from there every 2 ms until two ticks are seen (five the first time)."""
    regular = np.arange(since_s, end_s + 0.7, 0.1) + rng.uniform(0, 0.001)
    wanted = ((since_s, since_s, 5), (start_s - 0.0025, start_s, 2), (end_s, end_s + TAIL_S, 2))
    times = np.sort(np.concatenate((regular, *(_dense(board, *one, rng) for one in wanted))))
    times = times[np.diff(times, prepend=-1.0) > 0.0024]  # one call at a time
    calls = _calls(len(times), rng)
    columns: dict[str, Any] = {name: np.full(len(times), np.nan) for name in COLUMNS}
    inside = times + calls * rng.uniform(-0.5, 0.5, len(times))  # the moment within its call at which a reading is taken
    joules = np.maximum.accumulate(np.round(board.counted(inside), 3))
    columns |= {"time_s": times, "duration_s": calls, "power_w": board.sensed(inside), "energy_j": joules}
    return PowerTrace(**columns, edge=~np.isin(times, regular), slowdowns=(None,) * len(times))


def _calls(count: int, rng: np.random.Generator) -> Floats:
    return np.asarray(np.minimum(0.0024 * np.exp(0.5 * np.abs(rng.standard_normal(count))), 0.017), np.float64)


def _dense(board: Board, first_s: float, since_s: float, ticks: int, rng: np.random.Generator) -> Floats:
    times = first_s + np.concatenate(([0.0], np.cumsum(0.002 + _calls(200, rng))))
    later = times[(times >= since_s) & (times < since_s + 0.15 * ticks + 0.05)]
    seen = np.flatnonzero(np.diff(board.counted(later)) > 0)
    until_s = float(later[seen[:ticks][-1] + 1])
    return np.asarray(times[times <= until_s], np.float64)


def h200_loads() -> Recording:
    """Return the recording of 24 loads of 0.3 to 10 s."""
    path = ROOT / "data" / "h200" / "h200_short.parquet"
    return Recording(pl.read_parquet(path), pl.read_parquet(path.with_suffix(".loads.parquet")).to_numpy())


def sampled(one: Recording, start_s: float, end_s: float, *, since_s: float) -> PowerTrace:
    """Return the recorded readings that the sampler of a window would have taken: near its polls every 100 ms, and dense ones."""
    times, joules = one.series("energy_j")
    ticks_s = times[1:][np.diff(joules) > 0]
    polls = times[np.searchsorted(times, np.arange(since_s, end_s + 0.7, 0.1))]
    wanted = [polls, times[[np.searchsorted(times, start_s) - 1, np.searchsorted(times, end_s)]]]
    for moment_s, later_s, count in ((since_s, since_s, 5), (start_s, start_s, 2), (end_s, end_s + TAIL_S, 2)):
        until_s = ticks_s[np.searchsorted(ticks_s, later_s) + count - 1]
        wanted.append(times[(times >= moment_s) & (times <= until_s)])
    read = np.unique(np.concatenate(wanted))
    columns: dict[str, Any] = {name: np.full(len(read), np.nan) for name in COLUMNS}
    columns |= {"time_s": read, "duration_s": np.full(len(read), _CALL_S)}
    columns |= {name: one.held(name, read) for name in ("power_w", "energy_j")}
    return PowerTrace(**columns, edge=~np.isin(read, polls), slowdowns=(None,) * len(read))


def recorded() -> None:
    loads, by_length = h200_loads(), dict[float, list[Experiment]]()
    for place, (on_s, off_s) in enumerate(loads.loads.tolist()):
        truth_j = truth(loads, place)[0]
        for phase in range(_PHASES):
            trace = sampled(loads, on_s, off_s, since_s=on_s - 1 - 0.1 * phase / _PHASES)
            found = window_by_ticks(trace, on_s, off_s, column="power_w", sensor=SENSOR).estimate
            assert found is not None
            each = by_length.setdefault(round(off_s - on_s, 1), [])
            each.append(Experiment(found.value / truth_j - 1, found.half / truth_j))
    print(f"| load s | windows, of {_PHASES} phases | bias, sd, max % | half interval % | holds the truth |")
    print("| --- | --- | --- | --- | --- |")
    for length_s, every in sorted(by_length.items()):
        print(f"| {length_s:g} | {len(every)} | {' | '.join(_cells(every))} |")


def _cells(found: list[Experiment]) -> tuple[str, str, str]:
    errors = 100 * np.array([one.error for one in found])
    half, holds = 100 * np.mean([one.half for one in found]), np.mean([one.holds for one in found])
    return f"{errors.mean():+.2f}, {errors.std():.2f}, {np.abs(errors).max():.2f}", f"{half:.2f}", f"{holds:.1%}"


def main() -> None:
    if sys.argv[1:] == ["recorded"]:
        recorded()
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| window | length s | bias, sd, max % | half interval % | holds the truth | refused |")
    print("| --- | --- | --- | --- | --- | --- |")
    for place in PLACES:
        for length_s in LENGTHS_S:
            every = [experiment(place, length_s, seed) for seed in range(count)]
            found = [one for one in every if one is not None]
            if not found:
                print(f"| {place} | {length_s:g} | – | – | – | {count} |", flush=True)
                continue
            print(f"| {place} | {length_s:g} | {' | '.join(_cells(found))} | {count - len(found)} |", flush=True)


if __name__ == "__main__":
    main()
