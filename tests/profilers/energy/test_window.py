"""Traces whose energy is known in closed form, and sensors whose truth is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from profilers.energy.window import Sensor, counter_energy, integral, naive_energy, power_estimate
from profilers.errors import WindowTooShort
from tests.conftest import ROOT, environment
from tests.profilers.simulated import Board

PIECEWISE = {
    "constant": lambda t: np.full_like(t, 100.0),
    "ramp": lambda t: 50 + 7 * t,
    "triangle": lambda t: 100 - 20 * np.abs(t - 5),
}
AREAS = {
    "constant": lambda a, b: 100 * (b - a),
    "ramp": lambda a, b: 50 * (b - a) + 3.5 * (b**2 - a**2),
    "triangle": lambda a, b: 100 * (b - a) - 10 * ((5 - a) ** 2 + (b - 5) ** 2),  # a < 5 < b
}


@pytest.mark.parametrize("shape", PIECEWISE)
@pytest.mark.parametrize("origin", [0.0, 1e6])
def test_the_area_under_a_piecewise_linear_trace_is_exact(shape: str, origin: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        times = np.sort(np.concatenate(([0.0, 5.0, 10.0], rng.uniform(0, 10, 40))))
        a, b = rng.uniform(0, 5), rng.uniform(5, 10)
        found = integral(times + origin, PIECEWISE[shape](times), a + origin, b + origin)
        assert found == pytest.approx(AREAS[shape](a, b), rel=1e-9)


def test_a_window_between_two_samples_takes_both_ends_from_the_line_between_them() -> None:
    assert integral(np.array([0.0, 10.0]), np.array([0.0, 100.0]), 4.0, 6.0) == pytest.approx(100.0, rel=1e-12)


@pytest.mark.parametrize(("start", "end"), [(-1.0, 5.0), (5.0, 11.0), (-2.0, -1.0)])
def test_a_window_off_the_trace_is_refused(start: float, end: float) -> None:
    with pytest.raises(WindowTooShort, match="run more batches"):
        integral(np.array([0.0, 10.0]), np.array([1.0, 1.0]), start, end)


def test_an_empty_window_and_a_sample_that_is_not_a_number_are_refused() -> None:
    times = np.array([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="empty"):
        integral(times, np.ones(3), 1.0, 1.0)
    with pytest.raises(ValueError, match="not finite"):
        integral(times, np.array([1.0, np.nan, 1.0]), 0.5, 1.5)
    with pytest.raises(WindowTooShort):
        integral(np.empty(0), np.empty(0), 0.0, 1.0)


def test_inputs_are_not_changed() -> None:
    times, watts = np.linspace(0, 4, 41), np.linspace(10, 20, 41)
    load = np.where((times >= 1.1) & (times < 1.3), 200.0, 50.0)
    times.flags.writeable = watts.flags.writeable = load.flags.writeable = False
    power_estimate(times, watts, 1.0, 2.0, sensor=Sensor(0.1, 0.1))
    power_estimate(times, load, 1.0, 1.2, sensor=Sensor(0.1, 0.1))
    counter_energy(times, watts, 1.0, 2.0)
    naive_energy(times, watts, 1.0, 2.0)


def test_repeated_readings_of_a_plateau_are_kept() -> None:
    """Dropping repeated values before a trapezoid gives 1,688 J instead of 975 J."""
    times = np.arange(0.0, 10.1, 0.1)
    watts = np.where(times < 9.0, 75.0, 300.0)
    assert integral(times, watts, 0.0, 10.0) == pytest.approx(975, rel=0.02)
    assert integral(times[times <= 9], np.full(91, 75.0), 0.0, 9.0) == pytest.approx(675)


def seen(rng: np.random.Generator, board: Board, *, load_s: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Poll a board every 100 ms with 20 % jitter, before, during and after a load of 300 W."""
    board.phase = float(rng.uniform())
    before = 2.0 + rng.uniform(0, 0.2)
    board.spend(before, board.idle_w)
    board.spend(load_s, 300.0)
    polls = np.arange(0, before + load_s + 2.0, 0.1) + rng.uniform(0, 0.1)
    polls = np.sort(polls + rng.uniform(-0.01, 0.01, len(polls)))
    return polls, board.sensed(polls), before, before + load_s


@pytest.mark.parametrize("period", [0.02, 0.1])
@pytest.mark.parametrize("window", [0.025, 0.1, 1.0])
def test_a_load_of_one_second_is_measured_where_the_naive_recipe_is_far_off(period: float, window: float) -> None:
    rng = np.random.default_rng(11)
    ours, naive = [], []
    for _ in range(400):
        times, watts, start, end = seen(rng, Board(period, window), load_s=1.0)
        ours.append(power_estimate(times, watts, start, end, sensor=Sensor(period, window)).value / 300 - 1)
        naive.append((naive_energy(times, watts, start, end) or 0.0) / 300 - 1)
    assert abs(np.mean(ours)) <= 0.003
    assert np.std(ours) <= 0.015
    assert np.mean(naive) < -0.10


@pytest.mark.parametrize("window", [0.025, 0.1, 1.0])
def test_a_load_of_three_seconds_is_never_off_by_more_than_1_5_percent(window: float) -> None:
    rng = np.random.default_rng(12)
    for trial in range(400):
        times, watts, start, end = seen(rng, Board(0.1, window), load_s=3.0)
        found = power_estimate(times, watts, start, end, sensor=Sensor(0.1, window)).value
        assert found == pytest.approx(900, rel=0.015), f"{trial=}"


def test_a_short_load_without_idleness_after_it_is_refused() -> None:
    rng = np.random.default_rng(13)
    times, watts, start, end = seen(rng, Board(0.1, 1.0), load_s=1.0)
    upto = times <= end + 0.5
    with pytest.raises(WindowTooShort, match="averages over 1"):
        power_estimate(times[upto], watts[upto], start, end, sensor=Sensor(0.1, 1.0))


@pytest.mark.parametrize("tick", [0.02, 0.1])
@pytest.mark.parametrize("load_s", [0.3, 1.0, 1.037])
def test_a_counter_read_at_its_ticks_is_right_within_3_in_1000(tick: float, load_s: float) -> None:
    rng = np.random.default_rng(14)
    for trial in range(200):
        board = Board(tick_s=tick, phase=float(rng.uniform()))
        spin = np.arange(0, 0.4, 0.002)
        # wait for a tick before the load, as the protocol does
        first = np.flatnonzero(np.diff(board.counted(spin)) > 0)[0] + 1
        start = float(spin[first])
        board.spend(start, board.idle_w)
        board.spend(load_s, 300.0)
        times = np.concatenate((spin[: first + 1], start + load_s + spin))
        found = counter_energy(times, board.counted(times), start, start + load_s, idle_w=board.idle_w)
        assert found == pytest.approx(300 * load_s, rel=0.003), f"{trial=}"


def test_a_counter_that_stands_still_gives_no_number() -> None:
    times = np.arange(0.0, 3.0, 0.1)
    with pytest.raises(WindowTooShort, match="did not tick"):
        counter_energy(times, np.full_like(times, 5.0), 1.0, 2.0)
    with pytest.raises(WindowTooShort, match="not read"):
        counter_energy(times, times, 1.0, 5.0)


def test_the_naive_recipe_has_no_number_for_one_sample() -> None:
    assert naive_energy(np.array([0.0, 1.0, 2.0]), np.ones(3), 0.5, 1.5) is None
    assert naive_energy(np.array([0.0, 1.0, 2.0]), np.full(3, 5.0), 0.0, 2.0) == 10.0


def test_the_bits_are_the_same_on_every_processor() -> None:
    """A trace that another machine recorded must verify: the sums may not depend on how wide the processor's vectors are."""
    code = """
import subprocess
import sys

import numpy as np
from profilers.energy.window import integral
from profilers.energy.intervals import ratio
rng = np.random.default_rng(0)
t, w = np.cumsum(rng.uniform(0.05, 0.15, 5000)) + 1e5, rng.uniform(100, 300, 5000)
print([integral(t, w, t[3 + i], t[-2] - 0.01 * i).hex() for i in range(20)], ratio(w, t).high.hex())
"""
    old = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3"}
    said = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environment(**more), capture_output=True, check=True
        ).stdout
        for more in ({}, old)
    }
    assert len(said) == 1


def test_a_counter_without_a_tick_between_two_loads_gives_no_number() -> None:
    """One tick a second, loads half a second apart: the tick after the first load holds a part of the second."""
    times = np.arange(0, 6, 0.002)
    true_j = np.interp(times, [0, 1.2, 2.2, 2.6, 3.6, 6], [0, 60, 260, 280, 480, 600])
    ticked = true_j[np.maximum(0, np.floor(times).astype(int) * 500)]
    for begin_s, end_s, limits in ((1.2, 2.2, {"idle_until_s": 2.6}), (2.6, 3.6, {"idle_since_s": 2.2})):
        assert counter_energy(times, ticked, begin_s, end_s, idle_w=50) > 0
        with pytest.raises(WindowTooShort, match="no tick of the counter was seen between"):
            counter_energy(times, ticked, begin_s, end_s, idle_w=50, **limits)
    fine = true_j[(np.arange(len(times)) // 10) * 10]
    both = counter_energy(times, fine, 1.2, 2.2, idle_w=50, idle_since_s=0.5, idle_until_s=2.6)
    assert both == pytest.approx(200, rel=0.01)
