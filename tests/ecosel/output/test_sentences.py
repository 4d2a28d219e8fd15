"""What a choice gains, in a sentence."""

from __future__ import annotations

import polars as pl

from ecosel.output.sentences import gain
from ecosel.selection import select


def test_a_share_is_of_something_and_so_many_times_is_not() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.81], "cost": [1000.0, 10.0]})
    choice = select(frame, {"accuracy": "max", "cost": "min"}).choices[0]
    assert gain(choice, "ab".__getitem__) == "b has 90 % of the accuracy of a for 1 % of its cost."
    frame = pl.DataFrame({"accuracy": [0.9, 0.05], "speed": [11.0, 12.0]})
    choice = select(frame, {"accuracy": "max", "speed": "max"}, scale="none").choices[0]
    assert gain(choice, "ab".__getitem__) == "b is also the highest in speed."
    choice = select(frame, {"accuracy": "max", "speed": "max"}, weights={"accuracy": 20}, scale="none").choices[0]
    assert gain(choice, "ab".__getitem__) == "a has 91.7 % of the speed of b for 18 times its accuracy."
