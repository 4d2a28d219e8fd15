"""Figures of a trace that a test writes down, and the troubles that must never become a silent number."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Counted, Energy, Window, Windows, derive
from profilers.energy.sampling.trace import PowerTrace
from profilers.energy.window import Sensor
from profilers.meters.calibration import Calibration

GROUPS = tuple(Window(start, start + 1.0, 100) for start in (1.0, 3.0, 5.0))
MARKS = Windows(GROUPS, "nvml", "power_w", True, Sensor(), 0.1, idle_warm=(0.0, 0.9))


def trace(**columns: object) -> PowerTrace:
    """Ten readings a second for 7 s: 200 W within the groups, 50 W elsewhere; a counter that agrees."""
    times = np.arange(0, 7.0001, 0.1)
    busy = np.zeros(len(times), bool)
    for group in GROUPS:
        busy |= (times > group.start_s - 0.05) & (times < group.end_s - 0.05)
    power = np.where(busy, 200.0, 50.0)
    joules = np.concatenate(([0.0], np.cumsum(power[:-1] * 0.1)))
    none = np.full(len(times), np.nan)
    base = PowerTrace(
        time_s=times, duration_s=none, power_w=power, average_power_w=none, energy_j=joules, power_time_s=none, energy_time_s=none,
        temperature_c=none, clock_hz=none, other_processes=none, edge=np.zeros(len(times), bool), slowdowns=(None,) * len(times),
    )  # fmt: skip
    return replace(base, **columns)  # type: ignore[arg-type]


def test_a_steady_load_gives_its_joules_per_image() -> None:
    energy = derive(trace(), MARKS)
    assert energy.counter is not None
    assert energy.counter.value == pytest.approx(2.0, rel=0.03)
    assert energy.power is not None
    assert energy.power.value == pytest.approx(2.0, rel=0.1)
    assert energy.idle_warm_w == 50
    assert energy.highest_reading_w == 200
    assert energy.invalid is None


def test_nothing_measured_is_not_energy() -> None:
    assert derive(trace(), replace(MARKS, groups=())).reasons == ("nothing was measured",)


def test_a_frozen_counter_gives_way_to_the_integrated_power_and_is_named() -> None:
    energy = derive(trace(energy_j=np.full(71, 5.0)), MARKS)
    assert energy.counter is None
    assert energy.source == "nvml-power"
    assert any("did not tick" in reason for reason in energy.reasons)


def test_a_meter_that_says_nothing_gives_no_number() -> None:
    nothing = np.full(71, np.nan)
    energy = derive(trace(power_w=nothing, energy_j=nothing), MARKS)
    assert energy.per_inference is None
    assert energy.source is None
    assert energy.mean_power_w is None
    assert len(energy.reasons) == 2


def test_a_meter_without_power_is_measured_by_its_counter() -> None:
    energy = derive(trace(power_w=np.full(71, np.nan)), replace(MARKS, meter="rapl", column=None))
    assert energy.source == "rapl"
    assert energy.power is None
    assert energy.naive_j is None
    assert energy.idle_warm_w == pytest.approx(50)
    assert energy.highest_reading_w == pytest.approx(200)


def test_hot_clocks_make_a_run_invalid_and_a_power_cap_is_only_reported() -> None:
    looks: list[str | None] = [None] * 71
    looks[20], looks[40] = "hw-thermal+power-cap", "power-cap"
    energy = derive(trace(slowdowns=tuple(looks)), MARKS)
    assert energy.invalid == "clocks were throttled: hw-thermal in 50% of the checks"
    assert any("limited by power-cap in 100% of the checks" in warning for warning in energy.warnings)


def test_other_processes_clock_spread_and_a_starved_sampler_are_reported() -> None:
    clocks, others = np.full(71, np.nan), np.full(71, np.nan)
    clocks[[20, 30]] = 1.9e9, 1.6e9
    others[20] = 2
    kept = np.ones(71, bool)
    kept[42:48] = False
    whole = trace(clock_hz=clocks, other_processes=others)
    names = [name for name, value in vars(whole).items() if isinstance(value, np.ndarray)]
    cut = replace(whole, **{name: getattr(whole, name)[kept] for name in names}, slowdowns=(None,) * int(kept.sum()))
    warnings = derive(cut, MARKS).warnings
    assert any("clocks varied by 17%" in warning for warning in warnings)
    assert any("other processes used the board (at most 2)" in warning for warning in warnings)
    assert any("fell behind: 1 gaps above 0.3 s, the longest 0.70 s" in warning for warning in warnings)


def test_between_two_checks_of_the_conditions_the_last_one_holds() -> None:
    others = np.full(71, np.nan)
    looks: list[str | None] = [None] * 71
    first = int(np.searchsorted(trace().time_s, GROUPS[0].start_s))
    others[[0, first - 2]], looks[0], looks[first - 2] = (0, 1), "", "hw-thermal"
    energy = derive(trace(other_processes=others, slowdowns=tuple(looks)), MARKS)
    assert energy.invalid == "clocks were throttled: hw-thermal in 100% of the checks"
    assert any("other processes used the board (at most 1)" in warning for warning in energy.warnings)


def test_marks_survive_json_to_the_bit() -> None:
    odd = replace(MARKS, groups=(Window(0.1 + 0.2, 1e6 / 3, 7),), idle_after=(1 / 3, 2 / 3))
    assert Windows.from_dict(json.loads(json.dumps(odd.to_dict()))) == odd


def test_what_was_not_measured_is_none() -> None:
    assert Energy().per_inference is None
    assert Energy().mean_power_w is None


def test_a_board_that_is_lost_in_the_middle_leaves_a_gap_to_the_end_that_is_reported() -> None:
    """Readings go on, without a number; or, where the sampler died, there are none."""
    power = trace().power_w.copy()
    power[trace().time_s > 3.45] = np.nan
    assert any("the longest 2.60 s" in warning for warning in derive(trace(power_w=power), MARKS).warnings)
    whole = trace()
    names = [name for name, value in vars(whole).items() if isinstance(value, np.ndarray)]
    cut = replace(whole, **{name: getattr(whole, name)[:35] for name in names}, slowdowns=(None,) * 35)
    assert any("the longest 2.60 s" in warning for warning in derive(cut, MARKS).warnings)
    assert not any("fell behind" in warning for warning in derive(whole, MARKS).warnings)


def test_readings_of_a_counter_that_fail_between_two_loads_give_no_number_by_it() -> None:
    joules = trace().energy_j.copy()
    joules[19:32] = np.nan  # 1.9 to 3.1 s: the end of the first load and the beginning of the second
    energy = derive(trace(energy_j=joules), MARKS)
    assert energy.counter is None
    assert any("no tick of the counter was seen" in reason for reason in energy.reasons)
    assert energy.source == "nvml-power"


def test_a_calibration_corrects_every_figure_and_brings_its_own_errors() -> None:
    plain = derive(trace(), MARKS)
    corrected = derive(trace(), replace(MARKS, calibration=Calibration(1.25, 10.0, 0.01, 0.5)))
    assert plain.per_inference is not None
    assert corrected.per_inference is not None
    # 100 images a second: 10 ms of 10 W are taken off
    assert corrected.per_inference.value == pytest.approx((plain.per_inference.value - 0.1) / 1.25)
    assert corrected.highest_reading_w == pytest.approx((200 - 10) / 1.25)
    assert corrected.idle_warm_w == pytest.approx(32)
    assert (corrected.gain_error, corrected.offset_error_w) == (0.008, 0.4)
    assert Windows.from_dict(json.loads(json.dumps(replace(MARKS, calibration=Calibration(1.25, 10.0)).to_dict()))).calibration


def test_a_load_in_step_with_a_sensor_that_sees_a_part_is_named() -> None:
    power = trace().power_w.copy()
    power[10:62:3] *= 0.4
    marks = replace(MARKS, counter=False, sensor=Sensor(0.1, 0.025))
    found = derive(trace(power_w=power), marks)
    assert any("in step with the sensor, which sees 25 of every 100 ms" in warning for warning in found.warnings), found


def test_a_wide_interval_from_few_groups_is_explained() -> None:
    watts = trace().power_w.copy()
    watts[trace().time_s > 4.5] *= 1.1
    wide = derive(trace(power_w=watts), replace(MARKS, counter=False))
    assert "the interval is wide because only 3 groups of batches were measured: measure longer" in wide.warnings
    assert not [one for one in derive(trace(), replace(MARKS, counter=False)).warnings if "wide" in one]


BLIND = replace(MARKS, groups=MARKS.groups[:1], sensor=Sensor(0.1, 0.025), pause_s=None)


def test_a_counter_is_suspect_if_it_differs_from_a_steady_power_or_beside_the_load() -> None:
    half, power = Counted(Estimate.around(1.0, 0.01)), trace().power_w
    steady = derive(trace(), BLIND, counted=half)
    assert steady.source == "nvml-power"
    assert any("looks faulty" in warning for warning in steady.warnings)
    swings = trace(power_w=np.where(power == 200, power * np.where(np.arange(71) % 2, 1.2, 0.8), power))
    trusted = derive(swings, BLIND, counted=half)
    assert trusted.source == "nvml-counter"
    assert any("disagree" in warning for warning in trusted.warnings)
    assert derive(swings, BLIND, counted=replace(half, beside=-0.5)).source == "nvml-power"


def test_a_counter_within_the_interval_of_the_power_does_not_disagree() -> None:
    power = derive(trace(), BLIND, counted=Counted(None, "none")).power
    assert power is not None
    close = Counted(Estimate.around(power.value * (1 + power.relative + 0.015), 0.01))
    assert not any("disagree" in warning for warning in derive(trace(), BLIND, counted=close).warnings)
