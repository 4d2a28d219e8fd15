"""List the known properties of NVIDIA boards' power readings, by board name.

Update periods and windows: Yang, Adamek and Armour, arXiv 2312.02741, table 2 and their measurements
(github.com/JimZeyuYang/GPU_Power_Benchmark), and our own fits to those recordings (time constants). Gain and offset errors differ
between boards of the same name, so they are not corrected by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# For boards whose readings were never compared with a meter. Gain errors of five boards: -6 to +5 %; in wider tables, -9 to
# +11 %; an RTX 4090 read 21 W too little at any load.
GAIN_ERROR = 0.07
OFFSET_ERROR_W = 22.0


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag of an instant power reading behind the power, in seconds."""

    update_period_s: float
    averaging_window_s: float
    time_constant_s: float = 0.0


# the first match counts
_KNOWN = (
    (r"\bK40", Lag(0.0154, 0.0, 0.054)),
    (r"\bK80|\bK[1-6]\d{2,3}\b|TITAN X$|GTX (TITAN|9\d\d)", Lag(0.1, 0.0, 0.19)),
    (r"\bM40", Lag(0.031, 0.014)),
    (r"\bV100|TITAN V|\bP100|\bP40|GTX 10\d\d|TITAN Xp", Lag(0.02, 0.01)),
    (r"Quadro RTX", Lag(0.1, 0.02)),
    (r"RTX 20\d\d|GTX 16\d\d|TITAN RTX", Lag(0.101, 0.101)),
    (r"\bA100|\bA800|\bH100|\bH800|\bH200", Lag(0.1012, 0.025)),
    (r"RTX [34]0\d\d|RTX A\d000|\bA10\b|\bA40\b|\bL4\b|\bL40", Lag(0.1, 0.1)),
)


def known_lag(name: str, /) -> Lag | None:
    """Return the lag of a board's instant power, by its name as printed by nvidia-smi; None for other boards."""
    return next((lag for pattern, lag in _KNOWN if re.search(pattern, name)), None)
