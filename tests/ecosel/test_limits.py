"""Limits: every form in which people write them, and how far a value breaks one."""

import pytest

from ecosel.limits import Limit, Within, parse_limit, parse_within
from ecosel.objectives import Sense

SENSES: dict[str, Sense] = {"accuracy": "max", "ms": "min"}


def read(text: str) -> Limit:
    return parse_limit(text, column=lambda name: name, sense=SENSES.get)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("accuracy >= 0.9", Limit("accuracy", 0.9, ">=")),
        ("accuracy>=.9", Limit("accuracy", 0.9, ">=")),
        ("accuracy ≥ 90 %", Limit("accuracy", 0.9, ">=")),
        ("ms <= 2e1", Limit("ms", 20.0, "<=")),
        ("ms<20", Limit("ms", 20.0, "<")),
        ("0.9 < accuracy", Limit("accuracy", 0.9, ">")),
        ("20≥ms", Limit("ms", 20.0, "<=")),
        ("accuracy=0.9", Limit("accuracy", 0.9, ">=")),
        ("ms=20", Limit("ms", 20.0, "<=")),
        ("a <b> (s) <= -1", Limit("a <b> (s)", -1.0, "<=")),
        ('"top 1" >= 5.', Limit("top 1", 5.0, ">=")),
    ],
)
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert read(text) == limit


@pytest.mark.parametrize("text", ["ms", "ms <=", "<= 5", "ms <= many", "ms <= nan", "ms == 5x", ""])
def test_anything_but_a_limit_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--limit .*: write COLUMN <= VALUE or COLUMN >= VALUE$"):
        read(text)


def test_an_equals_sign_needs_a_column_that_has_a_better_end() -> None:
    with pytest.raises(ValueError, match="'depth' is not an objective, so = sets neither a maximum nor a minimum"):
        read("depth=5")


def test_violations_are_relative_and_an_unknown_value_breaks_nothing() -> None:
    assert Limit("accuracy", 0.8, ">=").violation(0.6) == pytest.approx(0.25)
    assert Limit("accuracy", 0.8, ">=").violation(0.9) == 0
    assert Limit("parameters", 100).violation(150) == 0.5
    assert Limit("parameters", 100).violation(100) == 0 < Limit("parameters", 100, "<").violation(100)
    assert Limit("parameters", 100).violation(None) == 0


def test_within_is_a_part_or_points() -> None:
    assert parse_within("1%") == parse_within(" 1 % ") == Within(0.01, True)
    assert parse_within("0.5") == parse_within("0.5 points") == Within(0.5, False)
    assert Within(0.01, True).least(80.0, point=1.0) == pytest.approx(79.2)
    assert Within(0.01, True).least(-80.0, point=1.0) == pytest.approx(-80.8)
    assert Within(0.5, False).least(0.9, point=0.01) == pytest.approx(0.895)
    for wrong in ("", "one", "1 %%", "-1%", "1e999"):
        with pytest.raises(ValueError, match=r"within"):
            parse_within(wrong)
