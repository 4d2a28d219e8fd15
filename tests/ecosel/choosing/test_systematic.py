"""Two picks whose energies their meters cannot tell apart are named."""

from __future__ import annotations

import polars as pl
import pytest

from ecosel.selection import select


def remarks(energies: tuple[float, float], powers: tuple[float, float], devices: tuple[str, str], **columns: object) -> list[str]:
    frame = pl.DataFrame(
        {
            "accuracy": [0.9, 0.95], "energy_per_inference_j": energies, "energy_gain_error": [0.07] * 2,
            "energy_offset_error_w": [22.0] * 2, "mean_power_w": powers, "device": devices, **columns,
        }
    )  # fmt: skip
    return [one for one in select(frame, {"accuracy": "max", "energy_per_inference_j": "min"}).remarks if "systematic" in one]


@pytest.mark.parametrize(
    ("energies", "powers", "devices", "named"),
    [
        ((1.0, 1.1), (300.0, 300.0), ("A", "B"), True),  # 7 % of both, and 22 of 300 W
        ((1.0, 1.1), (300.0, 300.0), ("A", "A"), False),  # the gain cancels; 22 W for 0.33 ms more
        ((1.0, 1.1), (100.0, 390.0), ("A", "A"), True),  # 22 W for 7 ms more
        ((1.0, 3.0), (100.0, 390.0), ("A", "A"), False),
    ],
)
def test_a_difference_below_the_systematic_error_is_named(
    energies: tuple[float, float], powers: tuple[float, float], devices: tuple[str, str], named: bool
) -> None:
    assert bool(remarks(energies, powers, devices)) is named


def test_the_gain_cancels_only_on_one_board_with_one_calibration() -> None:
    """Two boards of one name have gains of their own, and a calibrated row is free of the gain that an older one has."""
    close = (1.0, 1.1), (300.0, 300.0), ("A100", "A100")
    assert not remarks(*close, energy_meter=["board GPU-1"] * 2)
    assert "on two boards" in remarks(*close, energy_meter=["board GPU-1", "board GPU-2"])[0]
    assert "on two boards" in remarks(*close, energy_meter=["board GPU-1", None])[0]
    board = ["board GPU-1", "board GPU-1"]
    assert "calibrated for one" in remarks(*close, energy_meter=board, energy_gain_error=[0.002, 0.07])[0]
    assert "on two boards or unnamed" in remarks(*close[:2], (None, None))[0]  # type: ignore[arg-type]


def test_an_archive_without_these_columns_has_no_such_remark() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.95], "energy_per_inference_j": [1.0, 1.01]})
    assert not [one for one in select(frame, {"accuracy": "max", "energy_per_inference_j": "min"}).remarks if "systematic" in one]
