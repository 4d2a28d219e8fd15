"""The surrogate: it ranks, is the same each time, screens children of the search, and stays out of the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ecosel.objectives import ACCURACY, Objective
from evolver.search.optimizer import Birth, Search, SearchSettings
from evolver.search.surrogate import Screen, Surrogate
from tests.evolver.toy import KINDS, SlotProblem, Slots

PLAN = SearchSettings(population=8, lifetime=40, surrogate=True)


class Described(SlotProblem):
    def features(self, genome: Slots, /) -> Sequence[float]:
        return [float(kind == k) for kind, _ in genome for k in range(KINDS)] + [float(width) for _, width in genome]


def test_a_smooth_function_is_ranked_from_the_outcomes_seen() -> None:
    rng = np.random.default_rng(0)
    seen, unseen = rng.normal(size=(80, 5)), rng.normal(size=(200, 5))
    model = Surrogate()
    for row in seen:
        model.add(row.tolist(), float(np.tanh(row[0]) + 0.3 * row[1]))
    draws = np.mean([model.drawn(unseen, np.random.default_rng(k)) for k in range(20)], axis=0)
    truth = np.tanh(unseen[:, 0]) + 0.3 * unseen[:, 1]
    one, other = (values.argsort().argsort() for values in (draws, truth))
    assert np.corrcoef(one, other)[0, 1] > 0.85
    assert (model.drawn(unseen, np.random.default_rng(1)) == model.drawn(unseen, np.random.default_rng(1))).all()


def test_equal_outcomes_and_constant_features_are_not_an_error() -> None:
    model = Surrogate()
    for _ in range(40):
        model.add([1.0, 2.0], 0.0)
    assert np.isfinite(model.drawn([[1.0, 2.0], [3.0, 4.0]], np.random.default_rng(0))).all()


def searched(plan: SearchSettings, births: int, *, told_at_once: bool = True) -> tuple[Search[Slots], list[Birth[Slots]]]:
    problem = Described(3)
    search: Search[Slots] = Search(problem, plan)
    asked = []
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        asked.append(birth)
        if told_at_once:
            search.tell(birth.number, {"accuracy": problem.accuracy(birth.genome)})
    return search, asked


def test_a_screened_search_repeats_and_differs_from_an_unscreened_one_but_for_every_fourth_birth() -> None:
    _, first = searched(PLAN, 60)
    _, second = searched(PLAN, 60)
    _, plain = searched(replace(PLAN, surrogate=False), 60)
    assert first == second
    assert first[:33] == plain[:33]  # too little is known before, and the 32nd goes without
    assert first[33].genome != plain[33].genome


def test_replayed_births_lead_to_the_same_next_ones() -> None:
    search, births = searched(PLAN, 50)
    again: Search[Slots] = Search(Described(3), PLAN)
    for birth in births:
        again.replay(birth)
        again.tell(birth.number, {"accuracy": Described(3).accuracy(birth.genome)})
    assert [again.ask() for _ in range(3)] == [search.ask() for _ in range(3)]


def test_births_go_unscreened_while_workers_are_idle() -> None:
    search, _ = searched(PLAN, 41)
    assert search._screens(41)
    for number in range(41, 46):  # five in flight
        assert search.ask() is not None, number
    assert search._screens(46) is (46 % 4 != 0)
    for number in range(41, 45):  # four came back at once: four workers wait
        search.tell(number, {"accuracy": 0.5})
    assert not search._screens(46)


def test_what_an_earlier_run_knew_is_screened_with_from_the_first_child_on() -> None:
    problem = Described(3)
    _, earlier = searched(replace(PLAN, seed=9), 40)
    search: Search[Slots] = Search(problem, PLAN)
    for birth in earlier:
        search.learn(birth.genome, problem.accuracy(birth.genome))
    for _ in range(8):
        birth_of = search.ask()
        assert birth_of is not None
        search.tell(birth_of.number, {"accuracy": problem.accuracy(birth_of.genome)})
    assert search._screens(9)


def test_of_several_objectives_a_child_is_chosen_that_no_other_dominates_by_its_draws() -> None:
    rng = np.random.default_rng(0)
    cost, accuracy = Objective("inference_time_s", "min"), np.linspace(0.1, 0.9, 60)
    screen = Screen((ACCURACY, cost, Objective("parameters", "min")))
    for value in accuracy.tolist():
        screen.add([value], {"parameters": 1.0}, {"accuracy": value, "inference_time_s": value})
    screen.add([0.0], {"parameters": 1.0}, {})  # failed: nothing is known of its time
    assert (len(screen.models["accuracy"]), len(screen.models["inference_time_s"])) == (61, 60)
    # the second is as good as the first in all but its parameters, the third has the highest accuracy
    features, known = [[0.15], [0.15], [0.85]], [{"parameters": count} for count in (1.0, 900.0, 900.0)]
    chosen = [screen.choose(features, known, rng) for _ in range(60)]
    assert chosen.count(0) > 15
    assert chosen.count(2) > 15
    assert chosen.count(1) < min(chosen.count(0), chosen.count(2))


def test_a_search_without_accuracy_has_no_surrogate() -> None:
    with pytest.raises(ValueError, match="add accuracy to --objectives"):
        replace(PLAN, objectives=(Objective("parameters", "min"),))
