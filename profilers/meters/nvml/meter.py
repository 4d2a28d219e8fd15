"""Read one board through NVML in SI units, with a named warning for every missing number.

The word before the colon names a warning: `nvml-error`, `power-unbelievable`, `counter-unbelievable`, `counter-frozen`,
`counter-backward`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pynvml

from profilers.errors import MeterError
from profilers.meters.base import Capabilities, Conditions, Reading
from profilers.meters.counter import GrowingCounter, first_to_grow
from profilers.meters.known_boards import GAIN_ERROR, OFFSET_ERROR_W
from profilers.meters.nvml.boards import Board, ask
from profilers.meters.nvml.fields import (
    AVERAGE,
    COUNTERS,
    INSTANT,
    MODULE_AVERAGE,
    MODULE_INSTANT,
    USAGE,
    FieldAnswer,
    FieldQuery,
    FieldSource,
)

_AVERAGE_S = 1.0  # of nvmlDeviceGetPowerUsage on Ampere and newer, except GA100 (NVIDIA's documentation)
_GA100 = (8, 0)  # its compute capability
_ABSENT = FieldAnswer(None)
_SLOWDOWNS = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "power-cap",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hw-slowdown",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "sw-thermal",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hw-thermal",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power-brake",
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: "clock-setting",
    pynvml.nvmlClocksEventReasonSyncBoost: "sync-boost",
    pynvml.nvmlClocksEventReasonDisplayClockSetting: "display-clock",
}


class NvmlMeter:
    """Reads power and energy of one NVIDIA board.

    One nvmlDeviceGetFieldValues call reads instant power, average power and the counter with the driver's stamps; numbers that a
    board or driver lacks there are read through older functions, then at module scope. All of this is found by probing.
    Raises MeterError if the board reports neither power nor energy.
    """

    name = "nvml"

    def __init__(
        self, board: Board, *, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.board = board
        self.uuid = board.uuid
        self._clock = clock
        self._counter = GrowingCounter()
        self._opened_by: int | None = None
        try:
            self._open()
            self._probe(pause)
        except BaseException:
            self.close()
            raise

    @property
    def scope(self) -> str:
        what = "module of board" if self._of_module else "board"
        shared = f", {self.board.shared}" if self.board.shared else ""
        return f"{what} {self.uuid} ({self.board.name}){shared}"

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def read(self) -> Reading:
        if os.getpid() != self._opened_by:
            self._open()
        start_s = self._clock()
        answers = self._question.ask(self._handle)
        end_s = self._clock()
        warnings = self._question.errors(answers)
        if len(warnings) == len(answers):
            raise MeterError(f"{self.scope} cannot be read: {'; '.join(warnings)}")
        warnings = [f"nvml-error: {error}" for error in warnings]
        power, average, energy = (_ABSENT if place is None else answers[place] for place in self._places)
        counter_j = energy.joules()
        energy_j, warning = (None, None) if counter_j is None else self._counter.check(counter_j, start_s, end_s)
        warnings += [] if warning is None else [warning]
        return Reading(
            time_s=(start_s + end_s) / 2,
            duration_s=end_s - start_s,
            power_w=power.watts(warnings),
            average_power_w=average.watts(warnings),
            energy_j=energy_j,
            power_time_s=(average if power is _ABSENT else power).stamp_s,
            energy_time_s=energy.stamp_s,
            warnings=tuple(warnings),
        )

    def conditions(self) -> Conditions:
        """Read conditions that may explain the power. This is slower than read(), and meant for about once per second.

        Processes are distinguished by number; in a container with its own numbering, this process may count as another.
        """
        if os.getpid() != self._opened_by:
            self._open()
        temperature_c = self._first(("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"), pynvml.NVML_TEMPERATURE_GPU)
        clock_mhz = self._first(("nvmlDeviceGetClockInfo",), pynvml.NVML_CLOCK_SM)
        bits = self._first(("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"))
        running = self._first(("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"))
        return Conditions(
            temperature_c=float(temperature_c) if temperature_c else None,  # a board at 0 °C has no working thermometer
            clock_hz=clock_mhz * 1e6 if clock_mhz else None,
            slowdowns=None if bits is None else _slowdowns(bits),
            other_processes=None if running is None else len({one.pid for one in running} - {os.getpid()}),
        )

    def close(self) -> None:
        # after a fork, only the parent closes its NVML
        if self._opened_by == os.getpid():
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
        self._opened_by = None

    def _open(self) -> None:
        """Open NVML in this process, anew after a fork: no handle survives one."""
        ask(pynvml.nvmlInit)
        self._opened_by = os.getpid()
        self._handle = ask(pynvml.nvmlDeviceGetHandleByUUID, self.uuid)

    def _probe(self, pause: Callable[[float], None]) -> None:
        averages = self._usage_is_average()
        notes = [] if self.board.shared is None else [f"power is the whole board's, {self.board.shared}"]
        found = (
            self._choose("instant power", (INSTANT, *(() if averages else (USAGE,)), MODULE_INSTANT), notes, pause),
            self._choose("average power", (AVERAGE, *((USAGE,) if averages else ()), MODULE_AVERAGE), notes, pause),
            self._choose_counter(notes, pause),
        )
        sources = [source for source in found if source is not None]
        if not sources:
            raise MeterError(f"board {self.uuid} ({self.board.name}) reports neither power nor energy: {'; '.join(notes)}")
        self._question = FieldQuery(sources)
        self._places = [None if source is None else sources.index(source) for source in found]
        self._of_module = any(source.module for source in sources)
        if self._of_module:
            notes.append("module scope: the GPU and everything on its supply, since the GPU does not report its own power")
            if not all(source.module for source in sources):
                notes.append("power and counter have different scopes, so they cannot be compared")
        if USAGE in sources:
            notes.append(f"nvmlDeviceGetPowerUsage {'may be a one-second average' if averages else 'is instant'} on this board")
        self._capabilities = Capabilities(
            power=found[0] is not None,
            average_power=found[1] is not None,
            energy=found[2] is not None,
            averaging_window_s=_AVERAGE_S if found[0] is None and found[1] is not None else None,
            gain_error=GAIN_ERROR,
            offset_error_w=OFFSET_ERROR_W,
            notes=tuple(notes),
        )

    def _choose(
        self, what: str, sources: Sequence[FieldSource], notes: list[str], pause: Callable[[float], None]
    ) -> FieldSource | None:
        """Take the first source with a plausible power. Each is queried alone, as an unknown one could spoil the call."""
        warnings: list[str] = []
        for wait_s in (0.1, 0.2, 0.0):  # a board that was polled too fast, or is waking up, may first report 0 W
            errors = []
            for question in (FieldQuery([source]) for source in sources):
                answers = question.ask(self._handle)
                if answers[0].watts(warnings) is not None:
                    return question.sources[0]
                errors += question.errors(answers)
            if not warnings:
                break
            pause(wait_s)
        notes.append(f"no {what}: {'; '.join(dict.fromkeys([*errors, *warnings]))}")
        return None

    def _choose_counter(self, notes: list[str], pause: Callable[[float], None]) -> FieldSource | None:
        """Take the counter that is first seen to grow."""
        questions = [FieldQuery([source]) for source in COUNTERS]
        reasons = [error for question in questions for error in question.errors(question.ask(self._handle))]
        if len(reasons) < len(COUNTERS):
            place = first_to_grow(lambda: [one.ask(self._handle)[0].joules() for one in questions], pause=pause)
            if place is not None:
                return COUNTERS[place]
            reasons.append("the value does not grow")
        notes.append(f"no energy counter: {'; '.join(reasons)}")
        return None

    def _usage_is_average(self) -> bool:
        """Tell whether nvmlDeviceGetPowerUsage averages over a second; for unknown boards, assume that it may."""
        try:
            return tuple(pynvml.nvmlDeviceGetCudaComputeCapability(self._handle)) > _GA100
        except pynvml.NVMLError:
            return True

    def _first(self, functions: Sequence[str], *arguments: int) -> Any:
        """Return the answer of the first function that this driver and this binding provide."""
        for function in functions:
            with suppress(pynvml.NVMLError, AttributeError):
                return getattr(pynvml, function)(self._handle, *arguments)
        return None


def _slowdowns(bits: int) -> tuple[str, ...]:
    """Name the reasons other than idleness; a bit without a known name is given as a number."""
    ones = (1 << place for place in range(bits.bit_length()) if bits >> place & 1)
    return tuple(_SLOWDOWNS.get(bit, f"reason-{bit:#x}") for bit in ones if bit != pynvml.nvmlClocksEventReasonGpuIdle)
