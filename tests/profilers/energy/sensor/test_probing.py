"""Update period and averaging window are found on synthetic sensors, and not guessed where the readings do not tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from profilers.energy.sensor.probing import identify, probe
from profilers.errors import MeterError
from profilers.meters.base import Capabilities, Conditions, Reading

Floats = NDArray[np.float64]


@dataclass
class Synthetic:
    """A sensor that says, every period (with jitter), its power over the window before, some lag late."""

    period_s: float
    window_s: float
    lag_s: float = 0.0
    noise: float = 0.01
    jitter: float = 0.02

    def readings(self, rng: np.random.Generator, load_s: Floats, seconds: float, poll_s: float) -> tuple[Floats, Floats]:
        updated_s = np.arange(rng.uniform(-self.period_s, 0), seconds, self.period_s)
        updated_s = np.sort(updated_s + rng.normal(0, self.jitter * self.period_s, len(updated_s)))
        said = np.array([75 + 225 * self._loaded(load_s, at_s - self.lag_s) for at_s in updated_s])
        said = np.round(said * (1 + self.noise * rng.normal(size=len(said))), 3)  # milliwatts
        polls_s = np.cumsum(poll_s * rng.uniform(0.8, 1.2, int(seconds / poll_s)))
        polls_s = polls_s[polls_s > updated_s[0]]
        return polls_s, said[np.searchsorted(updated_s, polls_s, side="right") - 1]

    def _loaded(self, load_s: Floats, end_s: float) -> float:
        overlap = np.minimum(load_s[:, 1], end_s) - np.maximum(load_s[:, 0], end_s - self.window_s)
        return float(np.maximum(overlap, 0).sum() / self.window_s)


def loads(rng: np.random.Generator, seconds: float = 10.0) -> Floats:
    edges = [0.3]
    while edges[-1] < seconds:
        edges.append(edges[-1] + float(np.exp(rng.uniform(np.log(0.008), np.log(0.8)))))
    return np.array(edges[: len(edges) // 2 * 2]).reshape(-1, 2)


def random_sensor(seed: int, rng: np.random.Generator) -> Synthetic:
    known = {0: (0.1, 0.025), 1: (0.1, 1.0), 2: (0.1, 0.1), 3: (0.02, 0.02)}.get(seed % 10)  # A100, its average, RTX 3090
    period_s = float(np.exp(rng.uniform(np.log(0.015), np.log(0.15))))
    window_s = float(np.exp(rng.uniform(np.log(max(0.01, 0.2 * period_s)), 0)))
    period_s, window_s = known or (period_s, window_s)
    return Synthetic(period_s, window_s, rng.uniform(0, 0.3 * period_s), rng.uniform(0, 0.02), rng.uniform(0, 0.03))


def test_random_sensors_are_identified() -> None:
    inside = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        sensor, load_s = random_sensor(seed, rng), loads(rng)
        found = identify(*sensor.readings(rng, load_s, 11.0, poll_s=rng.choice([0.001, 0.003])), load_s)
        period, window = found.update_period_s, found.averaging_window_s
        assert period is not None, (seed, sensor, found)
        assert window is not None, (seed, sensor, found)
        assert window.low is not None
        assert window.high is not None
        assert period.value == pytest.approx(sensor.period_s, rel=0.05), (seed, sensor, found)
        assert window.value == pytest.approx(sensor.window_s, rel=0.15), (seed, sensor, found)
        inside += window.low <= sensor.window_s <= window.high
    assert inside >= 12, inside  # 95 % of 15 is 14.25, with a standard deviation of 0.8


def test_a_flat_trace_is_unidentifiable() -> None:
    times = np.arange(0, 5, 0.001)
    found = identify(times, np.full(len(times), 75.0), loads(np.random.default_rng(1), 5))
    assert (found.update_period_s, found.averaging_window_s) == (None, None)
    assert found.reasons == (
        "update period: the readings changed 0 times, which is too few",
        "averaging window: unknown without the update period",
    )


# Zeus takes the least gap of 1000 quick polls, so that noise gives too short a period and an idle board none.
def test_an_idle_board_with_noise_has_a_period_and_no_window() -> None:
    rng = np.random.default_rng(2)
    idle = Synthetic(0.1, 0.1, noise=0.02)
    found = identify(*idle.readings(rng, np.zeros((0, 2)), 5.0, 0.001))
    assert found.update_period_s is not None
    assert found.update_period_s.value == pytest.approx(0.1, rel=0.02)
    assert found.averaging_window_s is None
    assert found.reasons == ("averaging window: no load was switched",)


def test_one_gap_that_is_too_short_does_not_change_the_period() -> None:
    times = np.arange(0, 5, 0.001)
    values = np.floor(times / 0.1)
    values[2050:] += 0.5  # a change in the middle of an update
    found = identify(times, values)
    assert found.update_period_s is not None
    assert found.update_period_s.value == pytest.approx(0.1, rel=0.02)


def test_readings_that_do_not_follow_the_load_have_no_window() -> None:
    rng = np.random.default_rng(3)
    load_s = loads(rng)
    found = identify(*Synthetic(0.05, 0.05, noise=0.1).readings(rng, load_s[:0], 11.0, 0.001), load_s)
    assert found.update_period_s is not None
    assert found.averaging_window_s is None
    assert found.reasons[0].startswith("averaging window: the load explains ")


def test_a_sensor_as_fast_as_the_polls_is_unidentifiable() -> None:
    rng = np.random.default_rng(4)
    times = np.arange(0, 5, 0.001)
    found = identify(times, 75 + rng.normal(size=len(times)))
    assert found.update_period_s is None
    assert found.reasons[0] == "update period: it updates about as fast as it is polled, every 1 ms"


def test_irregular_changes_are_not_a_period() -> None:
    rng = np.random.default_rng(5)
    times = np.arange(0, 10, 0.001)
    changes = np.cumsum(np.exp(rng.uniform(np.log(0.01), np.log(1.0), 200)))
    found = identify(times, np.searchsorted(changes, times))
    assert found.update_period_s is None


@pytest.mark.parametrize("window_s", [0.001, 20.0])
def test_a_window_that_the_loads_cannot_tell_is_not_guessed(window_s: float) -> None:
    rng = np.random.default_rng(6)
    load_s = loads(rng)
    found = identify(*Synthetic(0.1, window_s, noise=0.001).readings(rng, load_s, 11.0, 0.001), load_s)
    assert found.update_period_s is not None
    assert found.averaging_window_s is None, found
    assert len(found.reasons) == 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="must be two lists of one length"):
        identify([0.0, 1.0], [75.0])
    with pytest.raises(ValueError, match="starts and ends in order"):
        identify(np.arange(1000) / 1000, np.arange(1000) // 20, [[0.0, 2.0], [1.0, 3.0]])


class Board:
    """A board on a clock of its own: reading takes 0.2 ms, the load is a switch, and every third reading may fail."""

    name, scope = "synthetic", "a synthetic board"

    def __init__(self, *, failing: bool = False) -> None:
        self.now_s = 500.0
        self.edges: list[float] = []
        self.reads = 0
        self.failing = failing

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds

    def load(self, on: bool) -> None:
        self.now_s += 0.0005
        if on != bool(len(self.edges) % 2):
            self.edges.append(self.now_s)

    def read(self) -> Reading:
        self.now_s += 0.0002
        self.reads += 1
        if self.failing and self.reads % 3 == 0:
            raise MeterError("the board is busy")
        updated_s = np.floor(self.now_s / 0.1) * 0.1
        ticked_s = np.floor(self.now_s / 0.02) * 0.02
        return Reading(self.now_s, 0.0002, self._mean(updated_s, 0.025), self._mean(updated_s, 1.0), 100 * ticked_s)

    def _mean(self, end_s: float, window_s: float) -> float:
        edges = np.array([*self.edges, self.now_s][: len(self.edges) // 2 * 2 + 2 * (len(self.edges) % 2)]).reshape(-1, 2)
        overlap = np.minimum(edges[:, 1], end_s) - np.maximum(edges[:, 0], end_s - window_s)
        return 75 + 225 * float(np.maximum(overlap, 0).sum()) / window_s

    def capabilities(self) -> Capabilities:
        return Capabilities(power=True, average_power=True, energy=True)

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        pass


class Lost(Board):
    def read(self) -> Reading:
        raise MeterError("the board is lost")


@pytest.mark.parametrize("failing", [False, True])
def test_a_probe_finds_power_average_and_tick_of_a_board(failing: bool) -> None:
    board = Board(failing=failing)
    found = probe(board, board.load, board.clock, pause=board.pause)
    assert found.power is not None
    assert found.average_power is not None
    assert found.energy is not None
    for sensor, window_s in ((found.power, 0.025), (found.average_power, 1.0)):
        assert sensor.update_period_s is not None
        assert sensor.averaging_window_s is not None, sensor
        assert sensor.update_period_s.value == pytest.approx(0.1, rel=0.05)
        assert sensor.averaging_window_s.value == pytest.approx(window_s, rel=0.15)
    assert found.energy.update_period_s is not None
    assert found.energy.update_period_s.value == pytest.approx(0.02, rel=0.05)
    assert found.energy.reasons == ()
    assert len(board.edges) % 2 == 0  # the load is off


def test_a_probe_of_an_idle_board_switches_nothing_and_finds_the_tick() -> None:
    board = Board()
    found = probe(board, None, board.clock, pause=board.pause, seconds=2)
    assert board.edges == []
    assert found.power is not None
    assert found.power.update_period_s is None
    assert found.energy is not None
    assert found.energy.update_period_s is not None


def test_a_probe_ends_its_load_when_it_is_interrupted() -> None:
    board = Board()
    calls = 0

    def stopping() -> Callable[[float], None]:
        def pause(seconds: float) -> None:
            nonlocal calls
            calls += 1
            board.pause(seconds)
            if calls > 2000 and len(board.edges) % 2:
                raise KeyboardInterrupt

        return pause

    with pytest.raises(KeyboardInterrupt):
        probe(board, board.load, board.clock, pause=stopping())
    assert len(board.edges) % 2 == 0


def test_a_probe_of_a_board_that_never_answers_is_its_error() -> None:
    board = Lost()
    with pytest.raises(MeterError, match="the board is lost"):
        probe(board, board.load, board.clock, pause=board.pause, seconds=0.1)
