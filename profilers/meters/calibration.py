"""Hold the gain and offset of a board's readings against a reference meter, at the wall or on the board's riser."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from profilers.errors import MeterError
from profilers.files import read_file

_LARGEST_OFFSET_W = 1000.0  # against the wall, the rest of a machine counts as an offset
_LONGEST = 4096
_NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Calibration:
    """reading = gain · reference + offset_w, with the half-widths of their 95 % intervals."""

    gain: float
    offset_w: float
    gain_error: float = 0.0
    offset_error_w: float = 0.0

    def __post_init__(self) -> None:
        numbers = asdict(self)
        if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers.values()):
            raise ValueError(f"a calibration is four finite numbers, not {numbers}")
        if not 0.2 < self.gain < 5 or not 0 <= self.gain_error < self.gain:
            raise ValueError(
                f"a gain of {self.gain:g} ± {self.gain_error:g} is implausible for a board; is this the right calibration?"
            )
        if not abs(self.offset_w) < _LARGEST_OFFSET_W or not 0 <= self.offset_error_w < _LARGEST_OFFSET_W:
            raise ValueError(f"an offset of {self.offset_w:g} ± {self.offset_error_w:g} W is implausible for a board")

    def watts(self, reading_w: float, /) -> float:
        return (reading_w - self.offset_w) / self.gain

    def joules(self, read_j: float, time_s: float, /) -> float:
        return (read_j - self.offset_w * time_s) / self.gain

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def read_calibration(path: Path, /) -> Calibration:
    """Read a file of `ecosel devices --calibrate`; raise MeterError for any other file."""
    try:
        plain = json.loads(read_file(path, most=_LONGEST))
        if not isinstance(plain, dict) or not {"gain", "offset_w"} <= set(plain) <= set(Calibration.__slots__):
            raise ValueError("it holds something else, or more")
        return Calibration(**plain)
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        words = getattr(error, "strerror", None) or ("it is not JSON" if isinstance(error, _NOT_JSON) else str(error))
        fields = "gain, offset_w, gain_error, offset_error_w"
        raise MeterError(f"{path} is not a calibration ({fields}) from ecosel devices --calibrate: {words}") from None
