"""Count the joules that the devices of a run draw, for a budget and for the record."""

from __future__ import annotations

from collections.abc import Sequence

from evolver.errors import EvolverError
from profilers.errors import ProfilerError
from profilers.meters import NoMeter, find_meter
from profilers.meters.base import PowerMeter, Reading


class Joules:
    """The energy of some devices since this was opened: all of their consumption, whoever uses them.

    It comes from counters, if there are any; else from power, by the trapezoidal rule between two calls, which misses
    anything shorter than the time between them. Raises EvolverError if a device has no meter.
    """

    def __init__(self, places: Sequence[str], spec: str | None) -> None:
        self._meters: list[PowerMeter] = []
        self._joules = 0.0
        if not places:
            raise EvolverError("--joules counts only the devices of this machine; if jobs run elsewhere, use --births or --time")
        for place in places:
            named = spec or (None if place == "cpu" else f"nvml:{place}")
            try:
                meter = find_meter(named, "cpu")
            except ProfilerError as error:
                self.close()
                raise EvolverError(f"--joules: {error}") from error
            if isinstance(meter, NoMeter):
                self.close()
                raise EvolverError(f"--joules: {meter.reason}")
            self._meters.append(meter)
        self._last = [self._read(meter) for meter in self._meters]

    def joules(self) -> float:
        """Return the energy since the start. Raises EvolverError if a meter no longer answers."""
        for k, meter in enumerate(self._meters):
            reading = self._read(meter)
            self._joules += _between(self._last[k], reading)
            self._last[k] = reading
        return self._joules

    def close(self) -> None:
        for meter in self._meters:
            meter.close()

    @staticmethod
    def _read(meter: PowerMeter) -> Reading:
        try:
            return meter.read()
        except ProfilerError as error:
            raise EvolverError(f"--joules: {error}; finished work is kept: run the same command again") from error


def _between(before: Reading, after: Reading) -> float:
    if before.energy_j is not None and after.energy_j is not None:
        return after.energy_j - before.energy_j
    powers = [[reading.power_w, reading.average_power_w] for reading in (before, after)]
    first, second = (next((power for power in both if power is not None), None) for both in powers)
    if first is None or second is None:
        why = "; ".join(after.warnings or before.warnings) or "its meter gives neither energy nor power"
        raise EvolverError(f"--joules: {why}; finished work is kept: run the same command again")
    return (first + second) / 2 * (after.time_s - before.time_s)
