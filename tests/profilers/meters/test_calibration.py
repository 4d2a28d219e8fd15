"""Files of calibrations: one of ecosel is read, any other is refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters.calibration import Calibration, read_calibration


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, calibration = tmp_path / "board.json", Calibration(1.0475, -20.57, 0.004, 0.8)
    file.write_text(calibration.to_json())
    assert read_calibration(file) == calibration
    # an RTX 4090 that reads 384.8 W draws 387 W
    assert calibration.watts(384.8) == pytest.approx(387, abs=0.1)
    assert calibration.joules(3848.0, 10.0) == pytest.approx(3870, abs=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("\x00\x01", "not JSON"),
        ("[" * 4_000, "not JSON"),
        ("[" * 100_000, "more than 4,096 bytes"),
        ("[1, 0]", "something else"),
        ('{"gain": 1.0}', "something else"),
        ('{"gain": 1.0, "offset_w": 0, "board": "RTX"}', "something else"),
        ('{"gain": "1.0", "offset_w": 0}', "four finite numbers"),
        ('{"gain": true, "offset_w": 0}', "four finite numbers"),
        ('{"gain": NaN, "offset_w": 0}', "four finite numbers"),
        ('{"gain": 1e400, "offset_w": 0}', "four finite numbers"),
        ('{"gain": 1' + "0" * 400 + ', "offset_w": 0}', "too large"),
        ('{"gain": -1, "offset_w": 0}', "a gain of -1"),
        ('{"gain": 1, "offset_w": 0, "gain_error": 2}', "a gain of 1 ± 2"),
        ('{"gain": 1, "offset_w": 5000}', "an offset of 5000"),
    ],
)
def test_other_files_are_not_calibration(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "board.json"
    file.write_text(text)
    with pytest.raises(MeterError, match=told) as refused:
        read_calibration(file)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_labelled_missing(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="No such file"):
        read_calibration(tmp_path / "absent.json")
