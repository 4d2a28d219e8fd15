"""Distances worked by hand, and what each scale and ideal divides and subtracts."""

from __future__ import annotations

import numpy as np
import pytest

from ecosel.choosing.scoring import Rule, distances, nearest, smallest, spread
from ecosel.objectives import Objective

ACCURACY = Objective("accuracy", "max")
TOP1 = Objective("top1", "max")
TIME = Objective("time", "min")
FRONT = np.array([[0.8, 2.0], [0.9, 8.0]])


def scaled(rule: Rule, quality: Objective, front: np.ndarray = FRONT) -> tuple[list[float], list[float]]:
    objectives = (quality, TIME)
    ideal = rule.ideal_point(objectives, front)
    return ideal.tolist(), rule.scales(objectives, ideal, front, np.array([0.7, 9.0])).tolist()


def test_distance_is_the_weighted_euclidean_norm() -> None:
    assert distances(np.array([[3.0, 2.0]]), np.array([1.0, 2.0])).tolist() == [5.0]


def test_distance_does_not_overflow() -> None:
    assert distances(np.array([[3e300, 4e300]]), np.ones(2))[0] == pytest.approx(5e300)


def test_max_divides_a_cost_by_its_largest_value_on_the_front_and_accuracy_by_its_ideal() -> None:
    assert scaled(Rule(), ACCURACY) == ([1.0, 0.0], [1.0, 8.0])


def test_max_divides_another_quality_by_its_range_unless_its_ideal_is_given() -> None:
    ideal, scale = scaled(Rule(), TOP1)
    assert ideal == [0.9, 0.0]
    assert scale == pytest.approx([0.1, 8.0])
    assert scaled(Rule(ideal={"top1": 2.0}), TOP1) == ([2.0, 0.0], [2.0, 8.0])


def test_range_divides_by_the_range_on_the_front_and_archive_range_by_that_of_all_rows() -> None:
    assert scaled(Rule("range"), ACCURACY)[1] == pytest.approx([0.1, 6.0])
    assert scaled(Rule("archive-range"), ACCURACY)[1] == [0.7, 9.0]


def test_none_divides_by_nothing() -> None:
    assert scaled(Rule("none"), ACCURACY)[1] == [1.0, 1.0]


def test_a_range_of_zero_counts_as_one() -> None:
    assert scaled(Rule("range"), TOP1, np.array([[5.0, 0.0], [5.0, 0.0]]))[1] == [1.0, 1.0]


def test_a_cost_below_zero_has_its_best_value_as_ideal_and_its_range_as_scale() -> None:
    ideal, scale = scaled(Rule(), TOP1, np.array([[1.0, -3.0], [2.0, 5.0]]))
    assert (ideal, scale) == ([2.0, -3.0], [1.0, 8.0])


def test_an_ideal_that_a_model_exceeds_is_refused() -> None:
    with pytest.raises(ValueError, match="ideal of 'time' is 3, but a model reaches 2"):
        scaled(Rule(ideal={"time": 3.0}), TOP1)


def test_ties_within_rounding_are_all_nearest() -> None:
    assert nearest(np.array([0.3, 0.1 + 0.2, 0.4])).tolist() == [0, 1]


def test_spread_of_the_largest_floats_is_finite() -> None:
    assert np.isfinite(spread(np.array([-1.7e308, 1.7e308])))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule("median"), "scale is 'median'"),  # type: ignore[arg-type]
        (lambda: Rule(weights={"time": -1.0}), "weight of 'time' is -1.0"),
        (lambda: Rule(weights={"time": float("nan")}), "weight of 'time' is nan"),
        (lambda: Rule(ideal={"time": float("inf")}), "ideal of 'time' is inf"),
        (lambda: Rule(preset="green"), "preset is 'green'"),  # type: ignore[arg-type]
        (lambda: Rule("range", preset="paper"), "does not go with scale 'range'"),
        (lambda: Rule(weights={"speed": 1.0}).check([TIME]), "weight of 'speed': not an objective"),
        (lambda: Rule(preset="paper").check([TIME]), "no unit for time"),
        (lambda: Rule(weights={"time": 0.0}).weight_vector([TIME]), "all weights of time are 0"),
    ],
)
def test_a_wrong_rule_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("count", [1, 3, 6, 9])
def test_the_smallest_values_come_first_and_equal_ones_in_order(count: int) -> None:
    values = np.array([2.0, 1.0, 3.0, 1.0, 2.0, 2.0])
    assert smallest(values, count).tolist() == [1, 3, 0, 4, 5, 2][:count]
