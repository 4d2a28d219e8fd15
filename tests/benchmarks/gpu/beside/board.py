"""Read the counter, temperature and clock of a board through NVML, without any of the tools being compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

_SPIN_S, _TICK_TIMEOUT_S = 0.001, 0.5


class Board:
    """Board 0 of the driver."""

    def __init__(self) -> None:
        pynvml.nvmlInit()
        self._handle: Any = pynvml.nvmlDeviceGetHandleByIndex(0)

    def energy_j(self) -> float:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3

    def tick(self) -> tuple[float, float]:
        """Wait for the counter to change; return the time and the joules read then, or those at the timeout if it does not change."""
        first, end_s = self.energy_j(), time.perf_counter() + _TICK_TIMEOUT_S
        while True:
            joules, now_s = self.energy_j(), time.perf_counter()
            if joules != first or now_s > end_s:
                return now_s, joules
            time.sleep(_SPIN_S)

    def state(self) -> dict[str, int | None]:
        """Return temperature, clock, and the bits for what slows the board down; None for each that the board does not report."""
        calls: dict[str, Callable[[], Any]] = {
            "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(self._handle, pynvml.NVML_TEMPERATURE_GPU),
            "sm_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(self._handle, pynvml.NVML_CLOCK_SM),
            "slowdown_bits": lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle),
        }
        found: dict[str, int | None] = {}
        for name, call in calls.items():
            try:
                found[name] = int(call())
            except (pynvml.NVMLError, AttributeError):  # older bindings lack some calls
                found[name] = None
        return found

    def facts(self) -> dict[str, str]:
        calls: dict[str, Callable[[], Any]] = {
            "board": lambda: pynvml.nvmlDeviceGetName(self._handle),
            "uuid": lambda: pynvml.nvmlDeviceGetUUID(self._handle),
            "driver": pynvml.nvmlSystemGetDriverVersion,
        }
        found: dict[str, str] = {}
        for name, call in calls.items():
            try:
                told = call()
                found[name] = told.decode() if isinstance(told, bytes) else str(told)
            except (pynvml.NVMLError, AttributeError) as error:
                found[name] = f"not known: {error}"
        return found


@dataclass(frozen=True)
class Counted:
    """A loop between two ticks of the counter, less the idle energy between its end and the last tick."""

    images: int
    seconds: float
    counter_j: float  # from readings just before and just after, regardless of ticks
    joules: float


def rest(board: Board, seconds: float, /) -> float:
    """Leave the board idle between two ticks of its counter; return its power in watts."""
    start_s, start_j = board.tick()
    time.sleep(seconds)
    end_s, end_j = board.tick()
    return (end_j - start_j) / (end_s - start_s)


def between_ticks(board: Board, run: Callable[[], int], /, *, idle_w: float) -> Counted:
    """Run a load from one tick of the counter to the first tick after its end."""
    _, start_j = board.tick()
    start_s = time.perf_counter()
    images = run()
    end_s, raw_j = time.perf_counter(), board.energy_j()
    tick_s, end_j = board.tick()
    return Counted(images, end_s - start_s, raw_j - start_j, end_j - start_j - idle_w * (tick_s - end_s))
