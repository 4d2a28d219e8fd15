"""Which rails of a Jetson make up the whole of it: the labels of its power monitors → those to add up.

After the kernel's device trees (tegra194-p2888, tegra234-p3701, -p3767) and NVIDIA's Jetson Linux Developer Guide.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

# The input of a board; its other rails are parts of it. VIN is that of Thor's INA238.
_INPUTS = ("VDD_IN", "POM_5V_IN", "VIN")
# Boards whose input is not metered. VDDQ_VDD2_1V8AO of AGX Orin is drawn from VIN_SYS_5V0, so it is in the sum already.
_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)


def whole(labels: Collection[str]) -> tuple[tuple[str, ...], str] | None:
    """Return the labels to add up and words for their sum, or None if no known board has them."""
    for label in _INPUTS:
        if label in labels:
            return (label,), f"board input {label}"
    for rails in _SUMS:
        if set(rails) <= set(labels):
            return rails, f"sum of {len(rails)} rails ({' + '.join(rails)}); the board's input and its carrier are not metered"
    return None


def is_tegra(root: Path) -> bool:
    """Say whether a machine is a Jetson, by its device tree."""
    try:
        return b"nvidia,tegra" in (root / "proc/device-tree/compatible").read_bytes()
    except OSError:
        return False
