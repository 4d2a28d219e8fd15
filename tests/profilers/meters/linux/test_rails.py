"""The sum of rails: when it opens, and what it says when a rail does not answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from profilers.energy.readings import sensor_of
from profilers.energy.sampling.sampler import Sampler
from profilers.errors import MeterError
from profilers.meters.linux.rails import Rail, RailMeter, Supply


@dataclass
class Time:
    now_s: float = 0.0

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


def meter_of(time: Time, *reads: Callable[[], float], patience_s: float = 2.0) -> RailMeter:
    rails = tuple(Rail(str(number), power_w=read) for number, read in enumerate(reads))
    return RailMeter(Supply("hwmon", "x", "a sum", rails, patience_s=patience_s), clock=time.clock, pause=time.pause)


def test_a_rail_may_be_0_but_the_sum_may_not() -> None:
    time = Time()
    meter = meter_of(time, lambda: 2 + time.now_s, lambda: 0.0)
    assert meter.read().power_w == pytest.approx(2 + time.now_s)


@pytest.mark.parametrize(
    ("watts", "words"), [(0.0, "reads 0 W"), (-3.0, "reads -3 W"), (2_000.0, "reads 2000 W"), (float("nan"), "reads nan W")]
)
def test_impossible_readings_are_not_a_meter(watts: float, words: str) -> None:
    with pytest.raises(MeterError, match=f"a sum {words}, which is impossible"):
        meter_of(Time(), lambda: watts)


def test_one_believable_reading_is_not_enough() -> None:
    with pytest.raises(MeterError, match=r"a sum stood still at 12.5 W for 2 s"):
        meter_of(Time(), lambda: 12.5)


def test_a_rail_that_fails_takes_the_sum_with_it() -> None:
    time, broken = Time(), False

    def second() -> float:
        if broken:
            raise OSError(61, "No data available")
        return 1.0

    meter = meter_of(time, lambda: 2 + time.now_s, second)
    broken = True
    with pytest.raises(MeterError, match=r"a sum cannot be read: rail-error: \[Errno 61\] No data available"):
        meter.read()


def test_a_power_that_cannot_be_is_a_named_warning_later() -> None:
    time = Time()
    meter = meter_of(time, lambda: 10 + time.now_s if time.now_s < 5 else 0.0)
    time.now_s = 6
    reading = meter.read()
    assert (reading.power_w, reading.warnings) == (None, ("power-unbelievable: a sum says 0 W",))


@pytest.mark.parametrize("every_s", [0.1, 2.0])
def test_the_period_of_a_sensor_that_does_not_tell_it_is_seen(every_s: float) -> None:
    time = Time()
    meter = meter_of(time, lambda: 10 + time.now_s // every_s, patience_s=45 if every_s > 1 else 2)
    column, sensor = sensor_of(meter)
    assert column == "power_w"
    assert sensor.update_period_s == pytest.approx(every_s, abs=0.12 if every_s > 1 else 0.011)
    assert sensor.averaging_window_s == pytest.approx(every_s if every_s > 1 else 0.1, abs=0.12 if every_s > 1 else 0.011)


def test_a_sampler_takes_the_meter_as_it_takes_others() -> None:
    time = Time()
    meter = meter_of(time, lambda: 2 + time.now_s)
    with Sampler(meter) as sampler:
        sampler.read()
    assert (sampler.trace().power_w > 2).all()
