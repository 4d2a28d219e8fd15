"""Expressions over columns: which of their texts are numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.readers.derived.expressions import Expression, find_column


def test_a_column_whose_first_cells_are_empty_or_text_is_read_as_a_whole() -> None:
    late = pl.DataFrame({"acc": [""] * 150 + ["0.4", "0.6"], "name": ["a"] * 151 + ["0.6"], "ms": [None] * 150 + ["3 ms", "2 s"]})
    assert Expression("--where", "acc > 0.5").condition(late).to_list() == [False] * 151 + [True]
    assert Expression("--where", "acc > 0.5 AND name <> 'a'").condition(late).sum() == 1
    assert Expression("--where", "ms > 1").condition(late).sum() == 1  # in s, the larger of the two units
    assert Expression("--derive", "name").on(late)[151] == "0.6"


@pytest.mark.parametrize(
    ("name", "words"),
    [("Top-1 (%)", "expected an expression"), ("val acc", "invalid expression"), ("val/acc", "no column 'val'")],
)
def test_a_name_that_needs_quotes_is_shown_with_them(name: str, words: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text(f"model,{name},ms\na,70,2\nb,80,4\n")
    options = ("--maximize", name, "--minimize", "ms", "--where")
    outcome = ecosel("select", tmp_path / "t.csv", *options, f"{name} > 75")
    assert (outcome.status, words in outcome.err, outcome.err.count("\n")) == (2, True, 1), outcome.err
    assert outcome.err.endswith(f'rite the name in double quotes: "{name}"\n')
    assert ecosel("select", tmp_path / "t.csv", *options, f'"{name}" > 75').out.startswith("Choose b: ")


def test_the_unit_in_which_a_filter_and_a_limit_take_a_column_is_stated(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("model,acc,params\na,0.8,1.2M\nb,0.9,25M\n")
    options = ("--maximize", "acc", "--minimize", "params")
    filtered = ecosel("select", tmp_path / "t.csv", *options, "--where", "params < 5e6")
    assert "--where takes params in M." in filtered.out
    limited = ecosel("select", tmp_path / "t.csv", *options, "--limit", "params < 5e6").out
    assert "the limit params < 5000000 is in M." in " ".join(limited.split())
    assert "is in M" not in ecosel("select", tmp_path / "t.csv", *options, "--limit", "params < 5M").out


def test_columns_are_found_with_other_kinds_of_blanks() -> None:
    assert find_column("top-1 acc", ["Top-1\u00a0acc", "ms"]) == "Top-1\u00a0acc"
    with pytest.raises(ValueError, match="could be"):
        find_column("a b", ["a  b", "a\u00a0b"])


@pytest.mark.parametrize("table", ["model,metric,value\na,acc,0.9\na,ms,10\n", "metric,resnet,vit\nacc,0.7,0.8\nms,5,10\n"])
def test_a_metric_that_is_a_cell_is_said_to_need_a_column(table: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text(table)
    outcome = ecosel("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "ms")
    assert outcome.status == 2
    assert outcome.err.endswith("; 'acc' is a cell of 'metric': give each metric a column (pivot the table)\n")
    assert "is a cell" not in ecosel("select", tmp_path / "t.csv", "--maximize", "f1", "--minimize", "ms").err
