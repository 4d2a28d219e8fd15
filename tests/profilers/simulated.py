"""A board whose true power is known, seen through a sensor that lags and a counter that ticks, in simulated time.

Used where the truth must be known to the joule; the real driver path is tested over the stand-in library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from profilers.energy.sampling.sampler import Sampler
from profilers.energy.sampling.trace import PowerTrace
from profilers.energy.window import Floats
from profilers.meters.base import Capabilities, Conditions, Reading

NAN = float("nan")


@dataclass(frozen=True)
class Named:
    """A board's name, as a meter tells it."""

    name: str


@dataclass
class Board:
    """True power as steps; a power sensor (period, window or time constant) and an energy counter with ticks."""

    period_s: float = 0.1
    window_s: float = 0.025
    tick_s: float = 0.1
    idle_w: float = 75.0
    phase: float = 0.0  # of sensor and counter, share of a period
    gain: float = 1.0  # of the counter alone
    times: list[float] = field(default_factory=lambda: [-1e6])
    joules: list[float] = field(default_factory=lambda: [0.0])
    watts: list[float] = field(default_factory=list)  # of each step
    followed: list[float] = field(default_factory=list)  # what an exponential reading shows at the end of each step
    time_constant_s: float = 0.0
    board: Named = field(default_factory=lambda: Named(""))
    power: bool = True
    average: bool = False
    counter: bool = True
    tell_sensor: bool = True

    def spend(self, seconds: float, watts: float) -> None:
        start = self.times[-1]
        if start < 0:
            self.times.append(0.0)
            self.joules.append(1e6 * self.idle_w)
        self.times.append(self.times[-1] + seconds)
        self.joules.append(self.joules[-1] + seconds * watts)
        if self.time_constant_s:
            before_w = self.followed[-1] if self.followed else self.idle_w
            self.watts.append(watts)
            self.followed.append(watts + (before_w - watts) * math.exp(-seconds / self.time_constant_s))

    def energy(self, time_s: Floats | float) -> Floats:
        """Return the true joules since the beginning; idle power goes on at the end."""
        later = np.maximum(0.0, np.asarray(time_s) - self.times[-1]) * self.idle_w
        return np.asarray(np.interp(time_s, self.times, self.joules), np.float64) + later

    def sensed(self, time_s: Floats | float) -> Floats:
        update = (np.floor(np.asarray(time_s) / self.period_s - self.phase) + self.phase) * self.period_s
        if not self.time_constant_s:
            return (self.energy(update) - self.energy(update - self.window_s)) / self.window_s
        ends_s = np.asarray(self.times)[1:]  # the first of them is 0
        step = np.clip(np.searchsorted(ends_s, update, "right"), 1, len(ends_s))
        shown, watts = np.array([self.idle_w, *self.followed]), np.array([self.idle_w, *self.watts, self.idle_w])
        gone = np.exp(np.minimum(ends_s[step - 1] - update, 0) / self.time_constant_s)
        return np.asarray(watts[step] + (shown[step - 1] - watts[step]) * gone, np.float64)

    def counted(self, time_s: Floats | float) -> Floats:
        update = (np.floor(np.asarray(time_s) / self.tick_s - self.phase) + self.phase) * self.tick_s
        return self.gain * self.energy(update)

    # the protocol of a meter
    name = "nvml"
    scope = "simulated board"

    def capabilities(self) -> Capabilities:
        told = (self.period_s, self.window_s) if self.tell_sensor and not self.time_constant_s else (None, None)
        return Capabilities(self.power, self.average, self.counter, *told)

    def read(self) -> Reading:
        raise NotImplementedError("the simulated sampler reads by itself")

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        pass


class SimulatedSampler(Sampler):
    """A sampler in simulated time: regular readings, with jitter, are computed when the trace is asked for."""

    def __init__(self, board: Board, rng: np.random.Generator, *, jitter: float = 0.2) -> None:
        super().__init__(board)
        self.board = board
        self.rng = rng
        self.jitter = jitter
        self.clock_s = 0.0
        self.edge_s: list[float] = []
        self.regular_s = np.empty(0)
        self.first_s, self.polled = 0.0, 0  # of the regular readings at this interval

    def now(self) -> float:
        return self.clock_s

    def spend(self, seconds: float, watts: float) -> None:
        self.board.spend(seconds, watts)
        self.clock_s += seconds

    def wait(self, seconds: float, /) -> None:
        if seconds > 0:
            self.spend(seconds, self.board.idle_w)

    def read(self) -> Reading:
        self.edge_s.append(self.clock_s)
        joules = float(self.board.counted(self.clock_s)) if self.board.counter else None
        return Reading(self.clock_s, 0.0, energy_j=joules)

    def await_tick(self, timeout_s: float = 0.3) -> bool:
        # the same as spinning every 2 ms, but for the readings between, which all say the same
        self.read()
        tick = self.board.tick_s
        to_tick = (math.floor(self.clock_s / tick - self.board.phase) + 1 + self.board.phase) * tick - self.clock_s
        steps = math.ceil(to_tick / 0.002 + 1e-9)
        self.wait((steps - 1) * 0.002)
        self.read()
        self.wait(0.002)
        self.read()
        return True

    def poll_every(self, seconds: float, /) -> None:
        self._poll()
        self.interval_s, self.first_s = seconds, self.clock_s
        self.polled = 0

    def _poll(self) -> None:
        more = np.arange(self.polled, math.floor((self.clock_s - self.first_s) / self.interval_s) + 1)
        shifts = self.rng.uniform(0, self.jitter, len(more))
        self.regular_s = np.concatenate((self.regular_s, self.first_s + (more + shifts) * self.interval_s))
        self.polled += len(more)

    def trace(self) -> PowerTrace:
        self._poll()
        regular = self.regular_s[self.regular_s <= self.clock_s]
        times = np.concatenate((regular, self.edge_s))
        edge = np.arange(len(times)) >= len(regular)
        order = np.argsort(times, kind="stable")
        times, edge = times[order], edge[order]
        none = np.full(len(times), NAN)
        sensed = self.board.sensed(times)
        return PowerTrace(
            time_s=times,
            duration_s=np.zeros(len(times)),
            power_w=sensed if self.board.power else none,
            average_power_w=sensed if self.board.average else none,
            energy_j=self.board.counted(times) if self.board.counter else none,
            power_time_s=none,
            energy_time_s=none,
            temperature_c=none,
            clock_hz=none,
            other_processes=none,
            edge=edge,
            slowdowns=(None,) * len(times),
        )


class SteadyLoad:
    """Batches of 100 images, each of about 10 ms and 300 W, with a spread that the groups share."""

    def __init__(self, sampler: SimulatedSampler, rng: np.random.Generator, *, spread: float, watts: float = 300.0) -> None:
        self.sampler = sampler
        self.rng = rng
        self.spread = spread
        self.watts = watts
        self.batches = 10

    @property
    def truth_j(self) -> float:
        return self.watts * 0.01 / 100

    def ready(self, batches: int, /) -> int:
        return batches

    def run(self, batches: int, /) -> int:
        factor = 1 + self.spread * self.rng.standard_normal()
        self.sampler.spend(batches * 0.01, self.watts * factor)
        return 100 * batches
