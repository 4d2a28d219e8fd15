"""The networks of the paper as a problem: genomes stay what they are as text, and a search over them is reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.architectures.genome import Genome
from evolver.architectures.normal_form.canonical import canonical_key
from evolver.architectures.problem import Architectures, space_for
from evolver.architectures.shapes import describe
from evolver.architectures.space import Space
from evolver.jobs import Settings, Survey
from evolver.search.optimizer import Birth, Search, SearchSettings

SPACE = Space((3, 32, 32), 10)


def searched(births: int, limits: tuple[Limit, ...] = ()) -> list[Birth[str]]:
    plan = SearchSettings((ACCURACY, Objective("parameters", "min")), limits, population=8, lifetime=32)
    search = Search(Architectures(SPACE.to_dict()), plan)
    found = []
    for _ in range(births):
        birth = search.ask()
        assert birth is not None
        found.append(birth)
        search.tell(birth.number, {"accuracy": 1 / (1 + abs(birth.known["flops"] - 5e7))})
    return found


def test_a_search_repeats_and_trains_no_equivalent_network_twice() -> None:
    births = searched(150)
    assert births == searched(150)
    assert len({canonical_key(Genome.from_json(birth.genome), SPACE) for birth in births}) == 150


def test_what_is_known_of_a_genome_is_that_of_its_text() -> None:
    # the problem remembers genomes that it wrote; a search that is resumed has only the text
    for birth in searched(60):
        description = describe(Genome.from_json(birth.genome), SPACE)
        assert birth.known == {"parameters": description.parameters, "flops": description.flops}
        assert Genome.from_json(birth.genome).to_json() == birth.genome


def test_limits_on_parameters_and_flops_are_kept() -> None:
    births = searched(100, (Limit("parameters", 1e6), Limit("flops", 2e7)))
    assert max(birth.known["parameters"] for birth in births) <= 1e6
    assert max(birth.known["flops"] for birth in births) <= 2e7


def test_a_genome_of_another_space_is_repaired_and_what_is_none_is_refused() -> None:
    small = Architectures(Space((1, 8, 8), 10, feature_slots=4, classifier_slots=2).to_dict())
    large = Architectures(SPACE.to_dict()).random(np.random.default_rng(0))
    genome = Genome.from_json(small.adopted(large))
    assert (len(genome.features), len(genome.classifier)) == (4, 2)
    with pytest.raises(ValueError, match="genome"):
        small.adopted("[1, 2]")


def test_the_space_suits_the_data_set_and_the_device() -> None:
    survey = Survey("toy", (1, 8, 8), 5, {"train": 1000, "validation": 100, "test": 100}, "cpu", {})
    space = Space(**space_for(survey, Settings("toy", feature_slots=6, classifier_slots=3, max_epochs=4)))
    assert (space.input_shape, space.classes, space.feature_slots, space.classifier_slots, space.max_epochs) == (
        (1, 8, 8),
        5,
        6,
        3,
        4,
    )
