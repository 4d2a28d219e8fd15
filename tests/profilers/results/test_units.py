"""Numbers that read well at any scale."""

from __future__ import annotations

import pytest

from profilers.results.units import si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.2076, "/s", "0.2076 /s"), (2.8e6, "/s", "2.8 M/s"), (1e-5, "/s", "1e-05 /s"), (0.00345, "J", "3.45 mJ"),
        (4.2e-13, "J", "0.42 pJ"), (4521.7, "s", "4,522 s"), (12.5e6, "s", "12,500,000 s"), (0.99999, "W", "1 W"),
        (999.96, "W", "1 kW"), (0.0, "W", "0 W"), (1.2e12, "", "1.2 T"), (35127656448, "", "35.13 G"), (512.0, "B", "512 B"),
        (0.9, "=", "0.9"), (12345.0, "=", "12,345"), (-0.003, "J", "-3 mJ"), (3.3e-9, "s", "3.3 ns"),
    ],
)  # fmt: skip
def test_a_number_reads_well(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text
