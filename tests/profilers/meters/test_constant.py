"""An assumed power says that it is assumed."""

from __future__ import annotations

import math

import pytest

from profilers.meters.constant import ConstantMeter


def test_every_word_of_a_constant_says_that_it_is_assumed() -> None:
    meter = ConstantMeter(65, clock=lambda: 3.0)
    assert meter.name == "constant:65"
    assert meter.scope == "an assumed 65 W, not measured"
    assert meter.capabilities().notes == ("the power is assumed, not measured",)
    reading = meter.read()
    assert (reading.power_w, reading.energy_j, reading.average_power_w, reading.time_s) == (65.0, None, None, 3.0)
    assert meter.conditions().slowdowns is None


@pytest.mark.parametrize("watts", [0.0, -5.0, math.nan, math.inf])
def test_a_constant_that_is_not_a_power_is_refused(watts: float) -> None:
    with pytest.raises(ValueError, match="an assumed power is a positive number of watts"):
        ConstantMeter(watts)
