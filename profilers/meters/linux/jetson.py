"""Choose the rails that add up to the whole of a Jetson, from the labels of its power monitors.

Sources: the kernel's device trees (tegra194-p2888, tegra234-p3701, -p3767) and NVIDIA's Jetson Linux Developer Guide.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

# The input of a board; its other rails are parts of it. VIN is that of Thor's INA238.
_INPUTS = ("VDD_IN", "POM_5V_IN", "VIN")
# Boards without a metered input. AGX Orin's VDDQ_VDD2_1V8AO is fed by VIN_SYS_5V0, so the sum already includes it.
_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)


def whole(labels: Collection[str]) -> tuple[tuple[str, ...], str] | None:
    """Return the labels to add up and a description of their sum, or None if no known board has them."""
    for label in _INPUTS:
        if label in labels:
            return (label,), f"board input {label}"
    for rails in _SUMS:
        if set(rails) <= set(labels):
            return rails, f"sum of {len(rails)} rails ({' + '.join(rails)}); the board's input and its carrier are not metered"
    return None


def is_tegra(root: Path) -> bool:
    """Tell from its device tree whether a machine is a Jetson."""
    try:
        return b"nvidia,tegra" in (root / "proc/device-tree/compatible").read_bytes()
    except OSError:
        return False
