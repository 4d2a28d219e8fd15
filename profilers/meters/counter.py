"""Check which readings of an energy counter are plausible."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The slowest known counters tick about once per second, and a board or a package always draws some power.
_FROZEN_S = 2.5
_PROBE_S = 1.0
_PROBE_PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class _Seen:
    energy_j: float
    end_s: float  # when the reading ended
    changed_s: float  # when the counter last changed


class GrowingCounter:
    """Checks the readings of one counter, which should only grow.

    Once a counter has gone backwards, no later difference can be trusted, so it gives no more numbers.
    Readings may come from several threads; two are compared only if one began after the other had ended.
    """

    def __init__(self) -> None:
        self._last: _Seen | None = None
        self._broken: str | None = None

    def check(self, energy_j: float, start_s: float, end_s: float) -> tuple[float | None, str | None]:
        """Return the reading, or None and a named warning with the reason."""
        if self._broken:
            return None, self._broken
        if not (math.isfinite(energy_j) and energy_j >= 0):
            return None, f"counter-unbelievable: the energy counter reads {energy_j:g} J"
        last = self._last
        if last is None or energy_j > last.energy_j:
            self._last = _Seen(energy_j, end_s, end_s)
            return energy_j, None
        if start_s < last.end_s:  # read at the same time by another thread
            return energy_j, None
        if energy_j < last.energy_j:
            self._broken = f"counter-backward: the energy counter fell from {last.energy_j:.3f} to {energy_j:.3f} J"
            return None, self._broken
        if end_s - last.changed_s > _FROZEN_S:
            return None, f"counter-frozen: the energy counter has not moved for {end_s - last.changed_s:.1f} s"
        return energy_j, None


def first_to_grow(read: Callable[[], Sequence[float | None]], /, *, pause: Callable[[float], None] = time.sleep) -> int | None:
    """Return the index of the counter first seen to grow within about a second of polls, or None."""
    first = read()
    for _ in range(round(_PROBE_S / _PROBE_PAUSE_S)):
        pause(_PROBE_PAUSE_S)
        for place, (before_j, after_j) in enumerate(zip(first, read(), strict=True)):
            if before_j is not None and after_j is not None and after_j > before_j:
                return place
    return None
