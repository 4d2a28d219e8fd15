"""Variants of a model are models like others, and select and why say whose variant one is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROWS: list[dict[str, object]] = [
    {"candidate_id": "small", "accuracy": 0.99, "file_bytes": 400, "variant": None, "parent": None, "precision_executed": "fp32"},
    {"candidate_id": "small-int8", "accuracy": 0.985, "file_bytes": 110, "variant": "int8", "parent": "small",
     "precision_executed": "int8"},
    {"candidate_id": "small-prune-50", "accuracy": None, "file_bytes": None, "status": "invalid", "variant": "prune-50",
     "parent": "small", "precision_executed": None},
]  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "runs.ndjson"
    path.write_text("".join(json.dumps({"status": "ok"} | row) + "\n" for row in ROWS))
    return path


OBJECTIVES = ("--maximize", "accuracy", "--minimize", "file_bytes")


def test_select_says_whose_variant_the_pick_is(archive: Path, ecosel: Callable[..., Any]) -> None:
    said = ecosel("select", archive, *OBJECTIVES).out
    assert said.startswith("Choose small-int8:")
    assert "It is the variant int8 of small." in said
    assert "It is the variant int8 of small." in ecosel("select", archive, *OBJECTIVES, "--format", "markdown").out
    (pair,) = json.loads(ecosel("select", archive, *OBJECTIVES, "--format", "json").out)["groups"][0]["selections"][:1]
    assert pair["variants"] == {"1": {"variant": "int8", "parent": "small"}}


def test_why_says_it_of_a_variant_and_of_nothing_else(archive: Path, ecosel: Callable[..., Any]) -> None:
    assert "It is the variant int8 of small." in ecosel("why", archive, "small-int8", *OBJECTIVES).out
    assert "It is the variant" not in ecosel("why", archive, "small", *OBJECTIVES).out
    found = json.loads(ecosel("why", archive, "small-int8", *OBJECTIVES, "--format", "json").out)
    assert (found["variant"], found["parent"]) == ("int8", "small")


def test_columns_of_the_same_names_in_a_stranger_s_archive_mean_nothing(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("name,variant,parent,acc,ms\na,2,9,0.9,3\nb,1,8,0.8,1\n")
    found = ecosel("select", path, "--maximize", "acc", "--minimize", "ms")
    assert (found.status, "variant" in found.out) == (0, False)
