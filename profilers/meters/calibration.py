"""Hold the gain and offset of a board's readings against a reference meter, at the wall or on the board's riser."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from profilers.errors import MeterError


@dataclass(frozen=True, slots=True)
class Calibration:
    """reading = gain · reference + offset_w, with the half-widths of their 95 % intervals."""

    gain: float
    offset_w: float
    gain_error: float = 0.0
    offset_error_w: float = 0.0

    def __post_init__(self) -> None:
        numbers = asdict(self)
        if not all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers.values()):
            raise ValueError(f"a calibration is four finite numbers, not {numbers}")
        if not 0.2 < self.gain < 5 or self.gain_error < 0 or self.offset_error_w < 0:
            raise ValueError(
                f"a gain of {self.gain:g} ± {self.gain_error:g} is implausible for a board; is this the right calibration?"
            )

    def watts(self, reading_w: float, /) -> float:
        return (reading_w - self.offset_w) / self.gain

    def joules(self, read_j: float, time_s: float, /) -> float:
        return (read_j - self.offset_w * time_s) / self.gain

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def read_calibration(path: Path, /) -> Calibration:
    """Read a file written by `ecosel devices --calibrate`; raise MeterError for any other file."""
    try:
        plain = json.loads(path.read_text())
        return Calibration(**plain)
    except (OSError, ValueError, TypeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise MeterError(f"{path} is not a calibration with gain, offset_w, gain_error and offset_error_w: {words}") from None
