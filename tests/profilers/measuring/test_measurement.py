"""The protocol of a measurement, on boards whose true power is known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest

from profilers.energy.per_image import PHASES, Windows, derive
from profilers.energy.sampling.sampler import Stopwatch
from profilers.measuring.device import rest
from profilers.measuring.measurement import Measurement, measure
from profilers.measuring.settings import Plan
from tests.benchmarks.interval_coverage import SENSORS, experiment
from tests.profilers.simulated import Board, SimulatedSampler, SteadyLoad


@pytest.fixture(autouse=True)
def _a_quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In simulated time the processor of this machine says nothing."""
    monkeypatch.setattr("profilers.measuring.measurement.processor_time", lambda: None)


def run(
    board: Board, seed: int, *, spread: float = 0.0, plan: Plan | None = None
) -> tuple[Measurement, SimulatedSampler, SteadyLoad]:
    rng = np.random.default_rng(seed)
    board.phase = float(rng.uniform())
    sampler = SimulatedSampler(board, rng)
    load = SteadyLoad(sampler, rng, spread=spread)
    plan = plan or Plan(warm_up_s=1.0, flat_s=0.5)
    warm = rest(sampler, plan, "idle", lambda progress: None)
    return measure(load, sampler, plan, rng=rng, show=lambda progress: None, idle_warm=warm), sampler, load


@pytest.mark.parametrize("sensor", [(0.02, 0.025), (0.02, 0.1), (0.02, 1.0), (0.1, 0.025), (0.1, 0.1), (0.1, 1.0)])
def test_a_steady_load_gives_its_true_energy_by_counter_and_by_power(sensor: tuple[float, float]) -> None:
    for seed in range(5):
        measured, sampler, load = run(Board(*sensor), seed)
        energy = derive(sampler.trace(), measured.marks)
        assert energy.counter is not None, f"{seed=}"
        assert energy.power is not None
        assert energy.counter.value == pytest.approx(load.truth_j, rel=0.002), f"{seed=}"
        assert energy.power.value == pytest.approx(load.truth_j, rel=0.005), f"{seed=}"
        assert energy.source == "nvml-counter"
        assert energy.idle_warm_w == pytest.approx(75, rel=0.01)
        assert energy.above_idle_j == pytest.approx(load.truth_j * 225 / 300, rel=0.01)
        assert energy.mean_power_w == pytest.approx(300, rel=0.005)


def test_the_interval_covers_the_true_value() -> None:
    inside = 0
    for seed in range(40):
        measured, sampler, load = run(Board(tick_s=0.02), seed, spread=0.015, plan=Plan(warm_up_s=0.2, flat_s=0.2, idle_s=0.5))
        estimate = derive(sampler.trace(), measured.marks).per_inference
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        inside += estimate.low <= load.truth_j <= estimate.high
    assert 34 <= inside <= 39  # 95 % of 40 is 38, with a standard deviation of 1.4


def test_a_counter_that_halves_the_energy_is_suspect_and_not_used() -> None:
    """Zeus issue 181: a board's counter says 187 J for 327 J."""
    measured, sampler, load = run(Board(gain=187 / 327), 1)
    energy = derive(sampler.trace(), measured.marks)
    assert energy.source == "nvml-power"
    assert energy.per_inference is not None
    assert energy.per_inference.value == pytest.approx(load.truth_j, rel=0.01)
    assert any("counter looks faulty" in warning for warning in energy.warnings)


def test_a_small_disagreement_is_shown_and_the_counter_used() -> None:
    measured, sampler, _ = run(Board(gain=1.05), 1)
    energy = derive(sampler.trace(), measured.marks)
    assert energy.source == "nvml-counter"
    assert energy.disagreement == pytest.approx(0.05, abs=0.01)
    assert any("disagree by +5" in warning for warning in energy.warnings)


def test_a_board_that_only_averages_over_a_second_is_measured() -> None:
    measured, sampler, load = run(Board(0.1, 1.0, power=False, average=True, counter=False, tell_sensor=False), 2)
    energy = derive(sampler.trace(), measured.marks)
    assert measured.marks.column == "average_power_w"
    assert measured.marks.groups[0].duration_s > 1.5
    assert energy.source == "nvml-power"
    assert energy.per_inference is not None
    assert energy.per_inference.value == pytest.approx(load.truth_j, rel=0.005)


def test_a_load_with_a_spread_ends_at_the_time_limit_and_says_so() -> None:
    measured, _, _ = run(Board(tick_s=0.02), 3, spread=0.1, plan=Plan(warm_up_s=0.2, flat_s=0.2, idle_s=0.5, max_s=15))
    assert measured.ended_by.startswith("15 s passed with the 95 % interval of the energy at")


def test_a_steady_load_ends_when_the_interval_is_narrow_and_not_before_ten_seconds() -> None:
    measured, _, _ = run(Board(tick_s=0.02), 4, spread=0.001)
    assert "of the energy is within 1.00%" in measured.ended_by
    assert sum(group.duration_s for group in measured.marks.groups) >= 10
    assert measured.warm_up.startswith("flat after")


def test_groups_do_not_keep_in_step_with_the_sensor() -> None:
    """A sensor that sees 25 of every 100 ms is blind to a load that repeats every 100 ms, unless its phase wanders."""
    measured, _, _ = run(Board(0.1, 0.025, counter=False), 5)
    phases = [group.start_s % 0.1 for group in measured.marks.groups]
    assert np.ptp(phases) > 0.05


def test_a_three_percent_difference_between_two_models_is_resolved() -> None:
    estimates = []
    for watts in (300.0, 309.0):
        rng = np.random.default_rng(6)
        sampler = SimulatedSampler(Board(), rng)
        load = SteadyLoad(sampler, rng, spread=0.01, watts=watts)
        measured = measure(load, sampler, Plan(warm_up_s=1, flat_s=0.5), rng=rng, show=lambda progress: None)
        estimates.append(derive(sampler.trace(), measured.marks).per_inference)
        assert sampler.now() < 60
    low, high = estimates
    assert low is not None
    assert high is not None
    assert low.high is not None
    assert high.low is not None
    assert low.high < high.low


def test_without_a_meter_the_time_decides_when_to_stop() -> None:
    class Quick:
        batches = 4

        def ready(self, batches: int, /) -> int:
            return batches

        def run(self, batches: int, /) -> int:
            return sum(1 for _ in range(20_000 * batches)) // 200

    plan = Plan(ci=0.5, min_s=0.05, max_s=30, warm_up_s=0.1, flat_s=0.05, group_s=0.005)
    measured = measure(Quick(), Stopwatch(), plan, rng=np.random.default_rng(0), show=lambda progress: None)
    assert len(measured.marks.groups) >= 10
    assert "of the time is within 50.00%" in measured.ended_by
    assert measured.marks.meter == "none"


@pytest.mark.parametrize(
    ("settings", "words"), [({"ci": 0.0}, "ci is 0"), ({"ci": 1.5}, "1% is 0.01"), ({"max_s": 5.0}, "at least 10")]
)
def test_a_plan_that_cannot_be_kept_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Plan(**settings)


def test_groups_last_as_long_as_the_meter_needs_though_the_load_stumbles_while_they_are_sized() -> None:
    """A hiccup of 50 ms, of other work on the machine, in each of the first runs."""

    class Stumbling(SteadyLoad):
        def run(self, batches: int, /) -> int:
            if self.sampler.now() < 6.5:
                self.sampler.spend(0.05, 300.0)
            return super().run(batches)

    sampler = SimulatedSampler(Board(), np.random.default_rng(7))
    load = Stumbling(sampler, np.random.default_rng(7), spread=0.0)
    plan = Plan(min_s=3, warm_up_s=0.1, flat_s=0.1, group_s=0.02)
    warm = rest(sampler, plan, "idle", lambda progress: None)
    measured = measure(load, sampler, plan, rng=np.random.default_rng(7), show=lambda progress: None, idle_warm=warm)
    needed_s = 0.025 + 1.25 * 0.1 + 5 * 0.1
    assert min(group.duration_s for group in measured.marks.groups) >= needed_s
    assert derive(sampler.trace(), measured.marks).disagreement == pytest.approx(0, abs=0.02)


def shared(monkeypatch: pytest.MonkeyPatch, shares: Iterator[float]) -> None:
    """Let others have these shares of the processor in one group after the other."""
    monkeypatch.setattr("profilers.measuring.measurement.lost_share", lambda before, after: next(shares))


def test_groups_that_others_disturbed_are_left_out_where_enough_were_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shared(monkeypatch, itertools.cycle([0.0] * PHASES + [0.5] * PHASES))  # groups whose phases belong together
    measured, sampler, load = run(Board(tick_s=0.02), 8)
    assert {group.lost for group in measured.marks.groups} == {0.0}
    assert {group.lost for group in measured.marks.others} == {0.5}
    assert abs(len(measured.marks.groups) - len(measured.marks.others)) <= PHASES
    assert measured.marks.block == PHASES
    energy = derive(sampler.trace(), measured.marks)
    assert energy.counter is not None
    assert energy.counter.value == pytest.approx(load.truth_j, rel=0.002)
    assert Windows.from_dict(json.loads(json.dumps(measured.marks.to_dict()))) == measured.marks


def test_groups_that_were_all_disturbed_are_all_used(monkeypatch: pytest.MonkeyPatch) -> None:
    shared(monkeypatch, itertools.repeat(0.5))
    measured, _, _ = run(Board(tick_s=0.02), 9)
    assert measured.marks.others == ()
    assert len(measured.marks.groups) >= 10


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_load_in_rhythm_with_a_real_boards_sensor_is_unbiased_and_its_interval_holds_it(sensor: str) -> None:
    """Polls every 100 ms see every hundredth update of 101 ms twice; those of 5 ms put 15.4 ms at 15."""
    plan = Plan(ci=0.02, warm_up_s=0.2, flat_s=0.1, idle_s=0.5)
    found = [experiment(SENSORS[sensor], batch_s, 0.5, seed, plan=plan) for batch_s in (0.1012, 0.202) for seed in range(6)]
    assert abs(np.mean([one.error for one in found])) < 0.004
    assert sum(one.holds for one in found) >= 9
