"""An option given twice holds twice, or is refused with both values; never is one of them dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from ecosel.cli import COMMANDS, group
from ecosel.cli.options.help import OnceCommand

TABLE = "m,acc,ms\na,0.9,50\nb,0.8,3\nc,0.7,1\nd,0.85,9\n"
OBJECTIVES = ("--maximize", "acc", "--minimize", "ms")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path / "t.csv"


def test_all_filters_hold_together_in_the_choice_and_in_the_command_of_the_page(
    table: Path, tmp_path: Path, ecosel: Callable[..., Any]
) -> None:
    filters = ("--where", "acc > 0.75", "--where", "ms < 20")
    document = json.loads(ecosel("select", table, *OBJECTIVES, *filters, "--format", "json").out)
    assert document["groups"][0]["selections"][0]["front"] == [1, 3]
    assert document["archive"]["left_out"]["filtered"] == 2
    assert ecosel("report", table, *OBJECTIVES, *filters, "-o", tmp_path / "r.html").status == 0
    page = (tmp_path / "r.html").read_text()
    assert "--where &#x27;acc &gt; 0.75&#x27; --where &#x27;ms &lt; 20&#x27;" in page.replace("&#39;", "&#x27;")


@pytest.mark.parametrize(
    ("twice", "words"),
    [
        (("--study", "a", "--study", "b"), "--study is given twice, 'a' and 'b'; keep one"),
        (("--table", "a", "--table", "b"), "--table is given twice, 'a' and 'b'; keep one"),
        (("--scale", "max", "--scale=range"), "--scale is given twice, 'max' and 'range'; keep one"),
        (("--seed", "1", "--seed", "2"), "--seed is given twice, '1' and '2'; keep one"),
        (("-o", "x", "--output", "y"), "--output is given twice, 'x' and 'y'; keep one"),
        (("--pairs", "--no-pairs"), "--no-pairs and its opposite are both given; keep one"),
        (("--weight", "acc=1", "--weight", "ACC=2"), "--weight acc is given twice, 1 and 2; keep one"),
        (("--ideal", "acc=1", "--ideal", "acc=2"), "--ideal acc is given twice, 1 and 2; keep one"),
        (("--limit", "ms<=5", "--limit", "ms<=9"), "a limit of ms is given twice: ms <= 5 and ms <= 9"),
        (("--derive", "x=acc", "--derive", "x=ms"), "--derive x is given twice"),
        (("--maximize", "acc"), "objective 'acc' is named twice"),
        (("--minimize", "acc"), "objective 'acc' is named twice"),
    ],
)
def test_two_values_are_refused_with_both(table: Path, ecosel: Callable[..., Any], twice: tuple[str, ...], words: str) -> None:
    outcome = ecosel("select", table, *OBJECTIVES, *twice)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_same_value_twice_is_one(table: Path, ecosel: Callable[..., Any]) -> None:
    once = ecosel("select", table, *OBJECTIVES, "--label", "m", "--weight", "acc=2", "--scale", "range")
    twice = ("--label", "m", "--label", "m", "--weight", "acc=2", "--weight", "acc=2", "--scale", "range", "--scale", "range")
    assert ecosel("select", table, *OBJECTIVES, *twice).out == once.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_an_option_that_is_not_repeatable(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert isinstance(command, OnceCommand)
