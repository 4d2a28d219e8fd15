"""Read a meter every 100 ms, and densely where ticks of its counter are wanted, from a background thread into a power trace."""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections import Counter, deque
from types import TracebackType

import numpy as np

from profilers.energy.sampling.trace import COLUMNS, PowerTrace
from profilers.errors import MeterError
from profilers.meters import NoMeter
from profilers.meters.base import Conditions, PowerMeter, Reading
from profilers.meters.calibration import Calibration

_SPIN_S = 0.002
_EARLY = 0.01  # share of an interval: a wait may end early
_FIRST_CAPACITY = 1024
_TICKS, _DENSE_S = 2, 0.35  # ticks to see after a moment, and the longest time of dense readings for them
_LEARN_TICKS, _LEARN_S = 5, 0.75  # the same once a sampler: they tell the period of the ticks
_live: weakref.WeakSet[Sampler] = weakref.WeakSet()


class Sampler:
    """A thread that reads a meter at absolute deadlines of the monotonic clock, within a `with` block that joins it.

    In a forked child, the thread starts anew with an empty trace, as threads and driver handles do not survive a fork.
    """

    calibration: Calibration | None = None  # the meter's; readings are kept unchanged, and their energy is corrected

    def __init__(self, meter: PowerMeter, /, *, interval_s: float = 0.1, conditions_every_s: float = 1.0) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s is {interval_s}; it must be above 0")
        self.meter = meter
        self.interval_s = interval_s
        self._conditions_every_s = conditions_every_s
        self._running = False
        self._started_s = 0.0
        self._clear()
        _live.add(self)

    def _clear(self) -> None:
        self._lock = threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._dense = _Dense()
        self._rows = np.full((_FIRST_CAPACITY, len(COLUMNS)), np.nan)
        self._edges: list[bool] = []
        self._slowdowns: list[str | None] = []
        self._troubles: Counter[str] = Counter()
        self._next_conditions_s = -math.inf
        self._last_energy_j = -math.inf
        self._thread = threading.Thread(target=self._sample, name="ecosel power sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._running = True
        self._started_s = self.now()
        self._record(edge=False)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running = False
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _after_fork(self) -> None:
        self._clear()
        self._started_s = self.now()
        if self._running:
            self._thread.start()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, /) -> None:
        """Let time pass while the thread samples."""
        self._stop.wait(max(0.0, seconds))

    def read(self) -> Reading | None:
        """Take one reading now, in addition to the regular ones; None if the meter failed."""
        return self._record(edge=True)

    def watch_ticks(self, since_s: float, /) -> None:
        """Let the thread read every 2 ms until the counter has ticked twice after a moment; return at once."""
        with self._lock:
            self._dense.begin(since_s)
        self._wake.set()

    def seen_ticks(self, since_s: float, /) -> bool:
        """Tell whether the counter was seen to tick twice after a moment for which ticks were to be watched."""
        with self._lock:
            return self._dense.seen(since_s)

    def await_tick(self, timeout_s: float = 0.3) -> bool:
        """Read every 2 ms until the energy counter changes; return False if it has not by the timeout, or if there is none."""
        first = self.read()
        if first is None or first.energy_j is None:
            return False
        end_s = self.now() + timeout_s
        while self.now() < end_s:
            self.wait(_SPIN_S)
            reading = self.read()
            if reading is not None and reading.energy_j is not None and reading.energy_j != first.energy_j:
                return True
        return False

    def trace(self) -> PowerTrace:
        """Return all readings so far."""
        with self._lock:
            rows = self._rows[: len(self._edges)].copy()
            edges, slowdowns, troubles = list(self._edges), list(self._slowdowns), dict(self._troubles)
        order = np.argsort(rows[:, 0], kind="stable")
        columns = dict(zip(COLUMNS, np.ascontiguousarray(rows[order].T), strict=True))
        return PowerTrace(
            **columns,
            edge=np.array(edges, bool)[order],
            slowdowns=tuple(slowdowns[index] for index in order),
            warnings=tuple(f"{text} ({count} of {len(edges)} readings)" for text, count in sorted(troubles.items())),
        )

    def poll_every(self, seconds: float, /) -> None:
        """Change the interval from the next reading on."""
        self.interval_s = seconds

    def _sample(self) -> None:
        start_s, stop, wake = self._started_s, self._stop, self._wake  # a fork replaces them
        while True:
            # the next deadline not yet over: a late reading does not shift later ones
            tick = math.floor((self.now() - start_s) / self.interval_s + _EARLY) + 1
            deadline_s = start_s + tick * self.interval_s
            while (left_s := deadline_s - self.now()) > 0 and not stop.is_set():
                dense = self._dense.wanted(self.now())
                wake.wait(min(left_s, _SPIN_S) if dense else left_s)
                wake.clear()
                if dense and not stop.is_set() and deadline_s - self.now() > _SPIN_S:
                    self._record(edge=True, dense=True)
            if stop.is_set():
                return
            self._record(edge=False)

    def _record(self, *, edge: bool, dense: bool = False) -> Reading | None:
        with self._lock:  # only one thread at a time reads a meter
            try:
                reading = self.meter.read()
                conditions = self._conditions(reading.time_s) if not edge else None
            except MeterError as error:
                self._append(Reading(self.now(), 0.0, warnings=(str(error),)), None, edge=edge)
                return None
            if self._dense.again(reading, dense=dense):
                del self._edges[-1:], self._slowdowns[-1:]  # of equal readings in a row, the first and the last tell all
            self._append(reading, conditions, edge=edge)
            return reading

    def _conditions(self, time_s: float) -> Conditions | None:
        if time_s < self._next_conditions_s:
            return None
        self._next_conditions_s = time_s + self._conditions_every_s
        return self.meter.conditions()

    def _append(self, reading: Reading, conditions: Conditions | None, *, edge: bool) -> None:
        found = conditions or Conditions()
        row = (
            reading.time_s, reading.duration_s, self._positive(reading.power_w, "power"),
            self._positive(reading.average_power_w, "average power"), self._growing(reading.energy_j), reading.power_time_s,
            reading.energy_time_s, found.temperature_c, found.clock_hz, found.other_processes,
        )  # fmt: skip
        if len(self._edges) == len(self._rows):
            self._rows = np.vstack((self._rows, np.full_like(self._rows, np.nan)))
        self._rows[len(self._edges)] = [math.nan if value is None else value for value in row]
        self._edges.append(edge)
        self._slowdowns.append(None if found.slowdowns is None else "+".join(found.slowdowns))
        self._troubles.update(reading.warnings)

    def _positive(self, power_w: float | None, name: str) -> float | None:
        """Drop an impossible power: a board that answers draws some."""
        if power_w is None or 0 < power_w < math.inf:
            return power_w
        self._troubles[f"{name} of {power_w} W was read and is ignored"] += 1
        return None

    def _growing(self, energy_j: float | None) -> float | None:
        if energy_j is None:
            return None
        if not self._last_energy_j <= energy_j < math.inf:
            self._troubles["the energy counter ran backwards and is ignored there"] += 1
            return None
        self._last_energy_j = energy_j
        return energy_j


class _Dense:
    """Keeps account of the ticks that are wanted and seen, and of dense readings that may be replaced."""

    def __init__(self) -> None:
        self._since_s = self._until_s = -math.inf
        self._learn_until_s, self._learned = math.inf, 0
        self._ticks_s: deque[float] = deque(maxlen=_TICKS)
        self._energy_j: float | None = None
        self._equal = 0  # dense readings in a row with this energy

    def begin(self, since_s: float) -> None:
        self._since_s, self._until_s = max(self._since_s, since_s), max(self._until_s, since_s + _DENSE_S)
        self._learn_until_s = min(self._learn_until_s, since_s + _LEARN_S)

    def seen(self, since_s: float) -> bool:
        return len(self._ticks_s) == _TICKS and self._ticks_s[0] >= since_s

    def wanted(self, now_s: float) -> bool:
        if now_s < self._until_s and not self.seen(self._since_s):
            return True
        return self._learned < _LEARN_TICKS and now_s < self._learn_until_s < math.inf

    def again(self, reading: Reading, *, dense: bool) -> bool:
        """Note a reading; tell whether it replaces the one before: both and the one before that are dense and equal."""
        if reading.energy_j is not None and self._energy_j is not None and reading.energy_j > self._energy_j:
            self._ticks_s.append(reading.time_s)
            self._learned += dense
        equal = dense and reading.energy_j is not None and reading.energy_j == self._energy_j
        self._equal = self._equal + 1 if equal else int(dense)
        self._energy_j = reading.energy_j if reading.energy_j is not None else self._energy_j
        return self._equal > 2


class Stopwatch:
    """Replaces the sampler if there is no meter: it knows the time, but its trace is empty."""

    interval_s = 0.0
    calibration: Calibration | None = None

    def __init__(self, meter: NoMeter = NoMeter("there is no meter"), /) -> None:  # noqa: B008  frozen
        self.meter = meter

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, /) -> None:
        """Return at once: without a meter there is nothing to wait for."""

    def read(self) -> None:
        pass

    def await_tick(self, timeout_s: float = 0.3) -> bool:
        return False

    def trace(self) -> PowerTrace:
        return PowerTrace.empty()


def _restart_in_child() -> None:
    for sampler in list(_live):
        sampler._after_fork()


os.register_at_fork(after_in_child=_restart_in_child)
