"""The search: bit-for-bit replay, no genome twice, limits first, selection by hand, and better than chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

import numpy as np
import pytest

from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.search.optimizer import Birth, Search, SearchSettings, best_first
from tests.evolver.toy import SlotProblem, Slots

PARAMETERS = Objective("parameters", "min")
BOTH = (ACCURACY, PARAMETERS)


def evolve(search: Search[Slots], births: int, *, ahead: int = 1) -> Iterator[Birth[Slots]]:
    """Keep `ahead` births waiting; the one that was born in the middle of them is told first."""
    waiting: list[Birth[Slots]] = []
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        waiting.append(birth)
        yield birth
        if len(waiting) >= ahead:
            told = waiting.pop(len(waiting) // 2)
            failed = told.number % 7 == 3
            search.tell(told.number, None if failed else {"accuracy": search.problem.accuracy(told.genome)})  # type: ignore[attr-defined]


def test_a_birth_depends_on_seed_and_number_and_what_was_told() -> None:
    plan = SearchSettings(BOTH, seed=5, population=8, lifetime=30)
    first, again = (list(evolve(Search(SlotProblem(), plan), 80, ahead=4)) for _ in range(2))
    assert first == again
    other = list(evolve(Search(SlotProblem(), SearchSettings(BOTH, seed=6, population=8, lifetime=30)), 80, ahead=4))
    assert not {birth.genome for birth in first} & {birth.genome for birth in other[:20]}


def test_births_that_are_taken_note_of_later_give_the_same_next_births() -> None:
    plan = SearchSettings(BOTH, seed=2, population=8, lifetime=30)
    whole = Search(SlotProblem(), plan)
    births = list(evolve(whole, 60))
    replayed = Search(SlotProblem(), plan)
    for birth in births:
        replayed.replay(birth)
    for birth in births:
        failed = birth.number % 7 == 3
        replayed.tell(birth.number, None if failed else {"accuracy": SlotProblem().accuracy(birth.genome)})
    assert [replayed.ask() for _ in range(20)] == [whole.ask() for _ in range(20)]


def test_no_two_births_compute_the_same() -> None:
    births = list(evolve(Search(SlotProblem(), SearchSettings(population=8, lifetime=30)), 300))
    assert len({birth.key for birth in births}) == 300


class FourGenomes:
    """A space that is soon used up."""

    def random(self, rng: np.random.Generator, /) -> int:
        return int(rng.integers(4))

    def vary(self, first: int, second: int, rng: np.random.Generator, /) -> int:
        return self.random(rng)

    def key(self, genome: int, /) -> str:
        return str(genome)

    def known(self, genome: int, /) -> dict[str, float]:
        return {"parameters": float(10 * (genome + 1))}


def test_a_space_that_is_used_up_gives_no_birth() -> None:
    search = Search(FourGenomes(), SearchSettings(population=2, tournament=1, lifetime=2))
    births = [search.ask() for _ in range(5)]
    assert sorted(birth.genome for birth in births if birth) == [0, 1, 2, 3]
    assert births[4] is None


def test_genomes_to_start_from_come_first_and_once() -> None:
    search = Search(FourGenomes(), SearchSettings(population=4), start=[2, 2, 0])
    births = [search.ask() for _ in range(4)]
    assert next(birth.genome for birth in births if birth) == 2
    assert sorted(birth.genome for birth in births if birth) == [0, 1, 2, 3]


@pytest.mark.parametrize(("every", "first_child"), [(1, 8), (2, 15), (10, 32)])
def test_births_are_random_until_the_population_is_full_or_four_times_as_many_were_born(every: int, first_child: int) -> None:
    search = Search(SlotProblem(), SearchSettings(population=8, lifetime=30))
    children = []
    for number in range(40):
        birth = search.ask()
        assert birth is not None
        children += [number] if birth.parents else []
        search.tell(number, {"accuracy": 0.5} if number % every == 0 else None)
    assert children == list(range(first_child, 40))


def test_births_keep_a_limit_that_is_known_before_training_and_else_come_nearest() -> None:
    search = Search(FourGenomes(), SearchSettings(limits=(Limit("parameters", 20),), population=4))
    births = [search.ask() for _ in range(4)]
    assert {birth.genome for birth in births[:2] if birth} == {0, 1}
    assert [birth.genome for birth in births[2:] if birth] == [2, 3]
    large = SearchSettings(limits=(Limit("parameters", 3000),), population=8, lifetime=30)
    assert all(birth.known["parameters"] <= 3000 for birth in evolve(Search(SlotProblem(), large), 200))


def test_feasible_come_first_then_layers_then_the_least_crowded() -> None:
    members: list[tuple[float, tuple[float, ...] | None]] = [
        (0.0, (3.0, 3.0)),  # dominated by 2 and 4
        (0.5, (0.0, 0.0)),  # breaks a limit
        (0.0, (2.0, 2.0)),  # on the front, between 3 and 4
        (0.0, (0.0, 5.0)),  # an end of the front
        (0.0, (2.5, 1.9)),  # on the front, more crowded: 2 and 5 are near
        (0.0, (5.0, 0.0)),  # the other end
        (0.0, None),  # an objective was not measured
        (0.1, (9.0, 9.0)),  # breaks it by less
    ]
    violations, costs = zip(*members, strict=True)
    # crowding of 2: (2.5 - 0)/5 + (5 - 1.9)/5 = 1.12; of 4: (5 - 2)/5 + (2 - 0)/5 = 1.0
    assert best_first(violations, costs, 8) == [5, 3, 2, 4, 0, 6, 7, 1]
    assert best_first(violations, costs, 3) == [5, 3, 2]


def test_of_one_objective_the_best_come_first_and_of_equals_the_younger() -> None:
    assert best_first([0.0] * 4, [(2.0,), (1.0,), (2.0,), (0.5,)], 3) == [3, 1, 2]


def test_old_candidates_are_no_longer_parents() -> None:
    search = Search(SlotProblem(), SearchSettings(population=4, lifetime=4))
    for number in range(8):
        assert search.ask() is not None
        search.tell(number, {"accuracy": 1 - number / 10})  # the oldest are the best
    assert search.population == (4, 5, 6, 7)


def test_failures_and_infinite_values_are_no_better_than_a_measured_one() -> None:
    search = Search(SlotProblem(), SearchSettings(BOTH, population=4))
    for number, values in enumerate([None, {"accuracy": math.nan}, {"accuracy": 0.1}, {"accuracy": None}]):
        assert search.ask() is not None
        search.tell(number, values)
    assert search.population[0] == 2
    assert 0 not in search.population


def test_an_outcome_is_told_once_and_of_a_birth_only() -> None:
    search = Search(SlotProblem(), SearchSettings())
    search.ask()
    search.tell(0, {"accuracy": 0.5})
    with pytest.raises(ValueError, match="birth 0 was never asked for, or was already told"):
        search.tell(0, {"accuracy": 0.5})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"objectives": ()}, "name at least one"),
        ({"objectives": (ACCURACY, ACCURACY)}, "each only once"),
        ({"tournament": 0}, "must satisfy 1 <= tournament"),
        ({"population": 300}, "must satisfy 1 <= tournament"),
        ({"seed": -1}, "must be 0 or more"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SearchSettings(**wrong)  # type: ignore[arg-type]


def test_it_finds_better_than_chance_in_most_of_ten_seeds() -> None:
    better = []
    for seed in range(10):
        problem = SlotProblem(seed)
        found = [problem.accuracy(birth.genome) for birth in evolve(Search(problem, SearchSettings(seed=seed)), 250, ahead=4)]
        rng = np.random.default_rng(seed)
        better.append(max(found) - max(problem.accuracy(problem.random(rng)) for _ in range(250)))
    assert median(better) > 0.02, better
    assert sum(gain > 0 for gain in better) >= 9, better
