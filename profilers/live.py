"""Measure windows around your own code: joules with an interval, from a counter or a power that is read in the background."""

from __future__ import annotations

import math
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType

from profilers.energy.counter.ticks import TAIL_S, window_by_ticks
from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Counted, Window, Windows, derive
from profilers.energy.readings import Sensor, sensor_of
from profilers.energy.sampling.sampler import Sampler
from profilers.energy.sampling.trace import PowerTrace
from profilers.errors import MeterError, ProfilerError, WindowTooShort
from profilers.meters import NoMeter, find_meter
from profilers.meters.base import Reading

_TICK_S, _RAPL_TICK_S = 0.1, 0.002  # of the slowest counters of boards, and at most of processors
_LEVEL_READINGS = 4
_LONGEST_S = 2.2  # two ticks of the slowest known counters
_REMEMBERED = 1000  # ends of windows
_running: dict[tuple[str, str | None], _Running] = {}
_lock = threading.Lock()


class Measured:
    """One window: `joules`, `low`, `high`, `seconds`, `warnings`, available once it has ended and the sensor has settled.

    Raises MeterError or WindowTooShort if the energy cannot be determined; it is never 0 for lack of a reading.
    """

    def __init__(self, device: str = "cuda", *, meter: str | None = None) -> None:
        self._device = device
        _synchronise(device)
        self._shared = _Running.of(device, meter)
        # a window may never be ended or read; a thread closes it, as the garbage collector may run while the lock is held
        self._leave = weakref.finalize(self, _in_a_thread, self._shared.leave)
        self._leave.atexit = False
        self._asking = threading.Lock()
        self._first = self._shared.sampler.read()
        self.start_s = self._shared.mark(0.0)
        self.end_s: float | None = None
        self._last: Reading | None = None
        self._found: Estimate | ProfilerError | None = None
        self._notes: tuple[str, ...] = ()

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> Measured:
        """End the window; a second call changes nothing."""
        if self.end_s is None:
            _synchronise(self._device)
            self.end_s = self._shared.mark(TAIL_S)
            self._last = self._shared.sampler.read()
        return self

    @property
    def seconds(self) -> float:
        return self._ended() - self.start_s

    @property
    def joules(self) -> float:
        return self._estimate().value

    @property
    def low(self) -> float | None:
        return self._estimate().low

    @property
    def high(self) -> float | None:
        return self._estimate().high

    @property
    def warnings(self) -> tuple[str, ...]:
        self._estimate()
        return self._notes

    def _ended(self) -> float:
        if self.end_s is None:
            raise ValueError("the window has not ended; call end() first")
        return self.end_s

    def _estimate(self) -> Estimate:
        end_s = self._ended()
        with self._asking:
            if self._found is None:
                try:
                    self._found, self._notes = self._shared.energy(self.start_s, end_s, self._first, self._last)
                except ProfilerError as error:  # the readings of a window no longer change
                    self._found = error
                if self._leave.detach():
                    self._shared.leave()
        if isinstance(self._found, ProfilerError):
            raise self._found
        return self._found


class _Running:
    """A meter and its sampler, shared by all open windows on one device."""

    def __init__(self, key: tuple[str, str | None]) -> None:
        found = find_meter(key[1], key[0])
        if isinstance(found, NoMeter):
            raise MeterError(found.reason)
        self._key, self._meter, self._open = key, found, 0
        self._tick_s = _RAPL_TICK_S if found.name == "rapl" else _TICK_S
        # between fast ticks, the difference of two readings is exact enough
        self._ticks = found.capabilities().energy and self._tick_s == _TICK_S
        self._edges_s: deque[float] = deque(maxlen=_REMEMBERED)
        self.sampler = Sampler(found)
        self.sampler.__enter__()

    @classmethod
    def of(cls, device: str, meter: str | None) -> _Running:
        with _lock:
            key = (device, meter)
            shared = _running.get(key) or _running.setdefault(key, cls(key))
            shared._open += 1
            return shared

    def leave(self) -> None:
        """Stop the sampler when the last window has its energy."""
        with _lock:
            self._open -= 1
            if self._open == 0:
                _running.pop(self._key, None)
                self.sampler.__exit__(None, None, None)
                self._meter.close()

    def mark(self, later_s: float) -> float:
        """Return the time, at which a window begins or ends, and let the next ticks of the counter be seen after it."""
        now_s = self.sampler.now()
        self._edges_s.append(now_s)
        if self._ticks:
            self.sampler.watch_ticks(now_s + later_s)
        return now_s

    def energy(
        self, start_s: float, end_s: float, first: Reading | None, last: Reading | None
    ) -> tuple[Estimate, tuple[str, ...]]:
        column, sensor = sensor_of(self._meter)
        can, interval_s = self._meter.capabilities(), self.sampler.interval_s
        if column is None and not self._ticks:
            return self._counted(end_s - start_s, first, last), ()
        settled_s = end_s + sensor.settled_s + _LEVEL_READINGS * interval_s
        self.sampler.wait(settled_s - self.sampler.now())
        while self._ticks and not self.sampler.seen_ticks(end_s + TAIL_S) and self.sampler.now() < end_s + _LONGEST_S:
            self.sampler.wait(interval_s / 10)
        trace = self.sampler.trace()
        counted = self._by_ticks(trace, start_s, end_s, column, sensor) if self._ticks else None
        if column is None and counted is not None and counted.estimate is None:
            return self._counted(end_s - start_s, first, last), (str(counted.reason),)
        marks = Windows((Window(start_s, end_s, 1),), self._meter.name, column, can.energy, sensor, interval_s)
        found = derive(trace, marks, counted=counted)
        if found.per_inference is None:
            raise MeterError("; ".join(found.reasons) or "the meter gave no readings in this window")
        gain = () if can.gain_error is None else (
            f"the error of the board's sensor is additional: gain ± {can.gain_error:.0%} and ± {can.offset_error_w:g} W",
        )  # fmt: skip
        instead = () if counted is None or counted.reason is None else (f"{counted.reason}; power was integrated instead",)
        return found.per_inference, (*found.warnings, *instead, *gain)

    def _by_ticks(self, trace: PowerTrace, start_s: float, end_s: float, column: str | None, sensor: Sensor) -> Counted:
        try:
            return window_by_ticks(trace, start_s, end_s, column=column, sensor=sensor, edges_s=tuple(self._edges_s))
        except WindowTooShort as error:
            return Counted(None, f"energy by counter: {error}")

    def _counted(self, seconds: float, first: Reading | None, last: Reading | None) -> Estimate:
        """Return the difference of a counter, with an error of at most one tick at either end."""
        if first is None or last is None or first.energy_j is None or last.energy_j is None:
            raise MeterError(f"{self._meter.name}: the energy counter could not be read at both ends of the window")
        joules = last.energy_j - first.energy_j
        if not joules > 0:
            raise MeterError(f"{self._meter.name}: the energy counter did not move within {seconds:.3f} s; take a longer window")
        half = joules / seconds * self._tick_s * math.sqrt(2)
        return Estimate(joules, joules - half, joules + half)


def _in_a_thread(leave: Callable[[], None]) -> None:
    threading.Thread(target=leave, name="end of an abandoned window", daemon=True).start()


def _synchronise(device: str) -> None:
    """Wait for work that torch has queued on a GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda") and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize(device)


def window(device: str = "cuda", *, meter: str | None = None) -> Measured:
    """Begin a window on a device ("cuda:1", "cpu"), as a `with` block or until `end()`; windows may nest and overlap."""
    return Measured(device, meter=meter)
