"""Rows that their tool calls unfinished are left out, counted and named; a foreign column of states changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.selection import select

# column, the word for a result, words for none
TOOLS = [
    ("state", "COMPLETE", ["PRUNED", "FAIL", "RUNNING", "WAITING"]),  # Optuna
    ("State", "Complete", ["Pruned", "Fail"]),  # its dashboard
    ("state", "TrialState.COMPLETE", ["TrialState.PRUNED"]),
    ("State", "finished", ["crashed", "failed", "running", "killed"]),  # Weights & Biases
    ("status", "TERMINATED", ["ERROR", "RUNNING", "PENDING", "PAUSED"]),  # Ray Tune
    ("status", "FINISHED", ["FAILED", "KILLED", "RUNNING", "SCHEDULED"]),  # MLflow
    ("status", "COMPLETED", ["INVALID", "FAILED", "RUNNING", "STOPPED"]),  # KerasTuner
    ("trial_status", "COMPLETED", ["ABANDONED", "EARLY_STOPPED", "FAILED"]),  # Ax
    ("status", "SUCCEEDED", ["FAILED", "EARLY_STOPPED", "USER_CANCELED"]),  # NNI
    ("status", "SUCCESS", ["CRASHED", "TIMEOUT", "MEMORYOUT"]),  # SMAC
    ("status", "completed", ["error", "terminated"]),  # Guild AI
    ("STATUS", "Published", ["Failed", "Aborted", "Draft"]),  # ClearML
    ("State", "COMPLETED", ["OUT_OF_MEMORY", "NODE_FAIL", "TIMEOUT", "CANCELLED"]),  # Slurm
    ("status", "success", ["error", "killed", "cancelled", "timeout"]),  # own words
    ("status", "done", ["failed", "OOM", "in progress"]),
    ("status", "ok", ["collapsed", "oom"]),  # ecosel
]


def models(column: str, words: list[str | None]) -> pl.DataFrame:
    rows = len(words)
    return pl.DataFrame({"score": [0.9 - 0.1 * k for k in range(rows)], "ms": [10.0 - k for k in range(rows)], column: words})


@pytest.mark.parametrize(("column", "done", "others"), TOOLS)
def test_only_rows_with_a_result_are_used(column: str, done: str, others: list[str]) -> None:
    selection = select(models(column, [*others, done, done]), {"score": "max", "ms": "min"})
    assert selection.choices[0].front == (len(others), len(others) + 1)
    assert selection.origin.unfinished == len(others)
    assert selection.unfinished["state"].to_list() == others
    if done != "ok":
        assert selection.remarks[0].startswith("left out as unfinished: ")
        assert selection.remarks[0].endswith(f" by {column}")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("status", ["new", "old", "new"]),
        ("state", ["CA", "NY", "TX"]),
        ("status", ["COMPLETE", "PRUNED", "deployed"]),
        ("status", ["failed", "passed", "deployed"]),
        ("State", ["running", "walking", "idle"]),
        ("stage", ["COMPLETE", "PRUNED", "FAIL"]),
    ],
)
def test_a_foreign_column_changes_nothing(column: str, words: list[str | None]) -> None:
    selection = select(models(column, words), {"score": "max", "ms": "min"})
    assert (selection.models.height, selection.origin.unfinished, selection.remarks) == (3, 0, ())


def test_states_of_two_tools_are_understood_together() -> None:
    assert select(models("state", ["FAIL", "COMPLETE", "FINISHED"]), {"score": "max", "ms": "min"}).choices[0].front == (1, 2)


def test_a_column_of_numbers_and_a_state_that_all_share_change_nothing() -> None:
    frame = models("status", ["COMPLETE", "COMPLETE"]).with_columns(state=pl.Series([1, 0]))
    assert select(frame, {"score": "max", "ms": "min"}).models.height == 2


def test_rows_without_a_state_are_kept_beside_another_tools() -> None:
    assert select(models("state", ["PRUNED", None, "COMPLETE"]), {"score": "max", "ms": "min"}).choices[0].front == (1, 2)
    assert select(models("status", ["oom", None, "ok"]), {"score": "max", "ms": "min"}).choices[0].front == (2,)


def test_where_none_is_finished_the_states_are_named() -> None:
    with pytest.raises(ArchiveError, match="no row is left to choose from: none is finished: 2 PRUNED, 1 FAIL by state"):
        select(models("state", ["PRUNED", "FAIL", "PRUNED"]), {"score": "max", "ms": "min"})


def test_why_says_of_rows_that_are_not_used_why_they_are_not(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("name,acc,ms,state\na,0.9,50,PRUNED\nb,0.8,3,COMPLETE\nc,0.7,,COMPLETE\nd,0.85,9,COMPLETE\n")

    def why(model: str) -> str:
        outcome = ecosel(
            "why",
            tmp_path / "t.csv",
            model,
            "--maximize",
            "acc",
            "--minimize",
            "ms",
            "--where",
            "ms < 9 OR ms > 10 OR ms IS NULL",
        )
        assert outcome.status == 2, outcome
        return str(outcome.err).removeprefix("ecosel: ").strip()

    assert why("a") == why("0") == "row 0 (a) was left out as unfinished: its state is PRUNED"
    assert why("c") == why("2") == "row 2 (c) was left out: it has no value in ms"
    assert why("D") == why("3") == 'row 3 (d) was filtered out: --where "ms < 9 OR ms > 10 OR ms IS NULL" is not true for it'
    assert why("7") == "row 7 is not among the 1 rows used"


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (["top1 >= 95"], "no model has top1 >= 95; the best has 91.14"),
        (["ms < 1"], "no model has ms < 1; the best has 2"),
        (["top1 > 90", "ms <= 4"], "no model has ms <= 4; the best has 5"),
        (["gpu = 'B200'"], "no model has gpu = 'B200'; there is 'A100', 'H100'"),
        (["top1 > 95 OR ms < 1"], "--where 'top1 > 95 OR ms < 1' is true for none of 3 rows"),
    ],
)
def test_a_filter_that_takes_the_last_row_is_named_with_the_best_value(
    tmp_path: Path, ecosel: Callable[..., Any], filters: list[str], words: str
) -> None:
    (tmp_path / "t.csv").write_text("top1,ms,gpu\n91.14,5,A100\n80,2,H100\n70,3,H100\n")
    options = [part for text in filters for part in ("--where", text)]
    outcome = ecosel("select", tmp_path / "t.csv", "--maximize", "top1", "--minimize", "ms", *options)
    assert (outcome.status, outcome.err) == (1, f"ecosel: no row is left to choose from: {words}\n")


def test_an_archive_without_rows_says_so(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("acc,ms\n")
    outcome = ecosel("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "ms")
    assert "no row is left to choose from: " in outcome.err
    assert "has none" in outcome.err


def test_the_counts_are_in_the_document(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("value,ms,state\n0.9,50,PRUNED\n0.8,3,COMPLETE\n0.7,1,COMPLETE\n")
    archive = json.loads(ecosel("select", tmp_path / "t.csv", "--maximize", "value", "--minimize", "ms", "--format", "json").out)[
        "archive"
    ]
    assert archive["left_out"]["unfinished"] == 1
    assert archive["left_out"]["statuses"] == {"PRUNED": 1}
