"""The course of a run: which candidates are near the front, what is measured, and who is compared with whom when stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecosel.dominance import nondominated_rank
from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.jobs import Outcome
from evolver.search.optimizer import SearchSettings
from evolver.search.run_state import Measure, RunState
from tests.evolver.toy import ToyGenomes

ENERGY = Objective("energy_per_inference_j", "min")


def course(objectives: tuple[Objective, ...] = (ACCURACY,), measure: Measure = "front", *, epochs: int = 10) -> RunState:
    return RunState(ToyGenomes({"landscape": 3}), SearchSettings(objectives, population=8), measure, True, epochs)


def finish(run: RunState, outcome: Outcome) -> int:
    """Give birth and hear an outcome; return the number of the birth."""
    birth = run.ask()
    assert birth is not None
    run.tell(birth.number, "train", outcome)
    return birth.number


@pytest.mark.parametrize("objectives", [(ACCURACY,), (ACCURACY, ENERGY)])
def test_the_front_and_the_front_of_the_rest_are_those_of_all_outcomes(objectives: tuple[Objective, ...]) -> None:
    seed = int(np.random.default_rng().integers(2**32))
    rng = np.random.default_rng(seed)
    for _ in range(6):
        run, costs = course(objectives), []
        for number in range(60):
            birth = run.ask()
            assert birth is not None
            accuracy, flops = float(rng.integers(8)) / 8, int(rng.integers(5))
            run.tell(number, "train", Outcome("ok", accuracy=accuracy, flops=flops))
            costs.append((-accuracy, birth.known["parameters"], flops))
            if number % 17 == 0:
                assert set(run.front) <= set(run.near_front)  # asked for in between, or only at the end: the same
        rank = nondominated_rank(costs)
        assert set(run.front) == set(np.flatnonzero(rank == 0).tolist()), seed
        assert set(run.near_front) == set(np.flatnonzero(rank <= 1).tolist()), seed
        assert run.front == tuple(sorted(run.front, key=costs.__getitem__)), seed


def test_where_an_objective_is_measured_a_candidate_is_told_when_it_was() -> None:
    run = course((ACCURACY, ENERGY))
    number = finish(run, Outcome("ok", accuracy=0.5, flops=1))
    assert list(run.waiting) == [(number, "measure")]
    assert run.search.told == 0
    run.tell(number, "measure", Outcome("ok", energy_per_inference_j=0.25))
    assert (run.search.told, run.search.population, list(run.waiting)) == (1, (number,), [])


def test_a_measurement_that_fails_leaves_the_candidate_behind_the_measured_ones() -> None:
    run = course((ACCURACY, ENERGY), "all")
    failed, measured = finish(run, Outcome("ok", accuracy=0.9, flops=1)), finish(run, Outcome("ok", accuracy=0.1, flops=1))
    run.tell(failed, "measure", Outcome("crash", "no meter"))
    run.tell(measured, "measure", Outcome("ok", energy_per_inference_j=0.25))
    assert run.search.population == (measured, failed)


def test_all_are_measured_on_request_and_told_at_once_where_no_objective_is_measured() -> None:
    run = course(measure="all")
    number = finish(run, Outcome("ok", accuracy=0.5))
    assert (run.search.told, list(run.waiting)) == (1, [(number, "measure")])


def test_a_candidate_is_stopped_below_the_median_of_those_with_no_more_parameters() -> None:
    run = course()
    sizes = []
    for k in range(20):
        birth = run.ask()
        assert birth is not None
        assert birth.known["parameters"] not in sizes
        sizes.append(birth.known["parameters"])
        run.tell(birth.number, "train", Outcome("stopped", "slow", curve=((1, k / 20), (3, 0.5 + k / 40))))
    birth = run.ask()
    assert birth is not None
    largest = max(sizes)
    large = replace(birth, known={"parameters": largest})
    # the medians of 0, 1/20 ... 19/20 and of 0.5 + 0, 1/40 ... 19/40; nobody got to the third rung
    assert [epoch for epoch, _ in run.rungs(large)] == [1, 3, 9]
    assert [threshold for _, threshold in run.rungs(large)] == pytest.approx([0.475, 0.7375, 0.0])
    ninth = replace(birth, known={"parameters": sorted(sizes)[8]})
    assert run.rungs(ninth) == ((1, 0.0), (3, 0.0), (9, 0.0))  # nine to compare with are too few


def test_rungs_end_before_the_last_epoch_and_can_be_switched_off() -> None:
    run = course(epochs=3)
    birth = run.ask()
    assert birth is not None
    assert run.rungs(birth) == ((1, 0.0),)
    run.stops = False
    assert run.rungs(birth) == ()


def test_an_objective_that_is_never_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="an objective or a limit is measured, but --measure is none"):
        course((ACCURACY, ENERGY), "none")


def test_a_limit_on_a_measured_column_is_kept() -> None:
    limits = (Limit("energy_per_inference_j", 0.5),)
    run = RunState(ToyGenomes({"landscape": 3}), SearchSettings(limits=limits, population=8), "front", True, 10)
    thirsty, frugal, unmeasured = (finish(run, Outcome("ok", accuracy=accuracy, flops=1)) for accuracy in (0.9, 0.6, 0.7))
    run.tell(thirsty, "measure", Outcome("ok", energy_per_inference_j=0.6))
    run.tell(frugal, "measure", Outcome("ok", energy_per_inference_j=0.4))
    run.tell(unmeasured, "measure", Outcome("crash", "no reading"))
    assert run.search.population == (frugal, unmeasured, thirsty)
    assert thirsty not in run.front
    with pytest.raises(ValueError, match=r"an objective or a limit is measured, but --measure is none"):
        RunState(ToyGenomes({"landscape": 3}), SearchSettings(limits=limits), "none")


def test_what_breaks_a_limit_after_training_is_neither_the_best_nor_measured() -> None:
    run = RunState(
        ToyGenomes({"landscape": 3}), SearchSettings(limits=(Limit("train_time_s", 10),), population=8), "front", True, 10
    )
    fast = finish(run, Outcome("ok", accuracy=0.5, flops=1, train_time_s=9))
    slow = finish(run, Outcome("ok", accuracy=0.9, flops=1, train_time_s=11))
    assert run.best == (0.5, fast)
    assert (run.front, run.near_front) == ((fast,), (fast,))
    assert run.search.population == (fast, slow)
