"""What a choice gives up and gains, how sure it is, and by which rule it was made, in sentences."""

from __future__ import annotations

import polars as pl
import pytest

from ecosel.objectives import Objective
from ecosel.output.measures import measure, measures, trade
from ecosel.output.sentences import gain, share, summary
from ecosel.selection import select


def told(frame: pl.DataFrame, objectives: dict[str, str], **options: object) -> str:
    selection = select(frame, objectives, **options)  # type: ignore[arg-type]
    return gain(selection.choices[-1], measures(selection), "abcdefgh".__getitem__).replace("\u00a0", " ")


def test_a_gain_is_a_gain_and_a_loss_a_loss() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.81], "parameters": [1000.0, 10.0], "inference_time_s": [1.0, 1.26]})
    assert told(frame, {"accuracy": "max", "parameters": "min"}) == (
        "Against a, the most accurate (90 %): 9 points less accuracy, 99 % fewer parameters."
    )
    costs = {"accuracy": "max", "parameters": "min", "inference_time_s": "min"}
    assert told(frame, costs) == (
        "Against a, the most accurate (90 %): 9 points less accuracy, 99 % fewer parameters, but 26 % more inference time."
    )


def test_a_gain_in_the_reference_stands_before_the_but() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.8], "parameters": [130, 100], "inference_time_s": [0.9, 1.0]})
    parts = list(measures(select(frame, {"accuracy": "max", "parameters": "min", "inference_time_s": "min"})).values())
    words = trade(parts, [0.9, 130, 0.9], [0.8, 100, 1.0], 0).replace("\u00a0", " ")
    assert words == "10 points more accuracy, 10 % less inference time, but 30 % more parameters"


def test_two_costs_are_compared_by_difference() -> None:
    frame = pl.DataFrame({"time": [8.246, 8.116], "power": [79.931, 81.517]})
    assert told(frame, {"time": "min", "power": "min"}) == (
        "Against b, the lowest in time (8.116): 1.6 % higher time, 1.9 % lower power."
    )


def test_a_cost_below_0_anywhere_has_no_ratio() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.89, 0.1], "net_cost": [10.0, 2.5, -2.0]})
    assert "net_cost 2.5 instead of 10" in told(frame, {"accuracy": "max", "net_cost": "min"})
    (words,) = [line for line in summary(select(frame, {"accuracy": "max", "net_cost": "min"})).split("\n") if "scale" in line]
    assert (
        "net_cost, measured from its best value, by its range where it goes below 0 on the front; accuracy by its ideal" in words
    )


def test_many_times_the_cost_is_a_multiple_and_a_hair_is_not_0() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.05], "speed": [11.0, 12.0]})
    assert (
        told(frame, {"accuracy": "max", "speed": "max"}, scale="none", weights={"accuracy": 20})
        == "It is also the most accurate."
    )
    frame = pl.DataFrame({"accuracy": [0.9, 0.899], "params": [1e6, 1.0]})
    assert told(frame, {"accuracy": "max", "params": "min"}).endswith("0.1 points less accuracy, >99.9 % lower params.")
    cost = measure(Objective("params", "min"), frame["params"])
    assert [cost.difference(value, 1e6) for value in (1.0, 999_900.0, 1_000_100.0, 1.5e6)] == [
        ">99.9\u00a0% less", "<0.1\u00a0% less", "<0.1\u00a0% more", "+50\u00a0%"]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "sampled", "words"),
    [(0.254, True, "25 %"), (0.0019, True, "<1 %"), (1.0, True, ">99 %"), (0.0964, False, "9.64 %"), (1.0, False, "100 %")],
)
def test_a_share_has_no_more_digits_than_its_error(part: float, sampled: bool, words: str) -> None:
    assert share(part, sampled=sampled) == words
