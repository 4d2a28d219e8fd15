"""The JSON schemas that ship describe what is printed and what is written, and refuse anything else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ecosel.objectives import STATUSES
from ecosel.samples import sample
from profilers.results.archive import COLUMNS
from tests.conftest import ROOT


def schema_of(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("ecosel").joinpath("schemas", f"{name}.schema.json").read_text("utf-8"))
    return schema


SELECTION, ROW = schema_of("selection"), schema_of("archive_row")
YOUNG, DIGITS = str(sample("young2019.csv")), str(sample("digits_mlp.csv"))


@pytest.mark.parametrize("schema", [SELECTION, ROW])
def test_a_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "arguments",
    [
        (YOUNG, "--by", "dataset", "--preset", "paper"),
        (DIGITS, "--top", "3"),
        (YOUNG, "--limit", "accuracy >= 0.8", "--label", "model"),
        (YOUNG, "--within", "1%", "--weight", "accuracy=2", "--scale", "range"),
    ],
)
def test_what_select_prints_fits_its_schema(arguments: tuple[str, ...], ecosel: Callable[..., Any]) -> None:
    document = json.loads(ecosel("select", *arguments, "--format", "json").out)
    jsonschema.validate(document, SELECTION)
    for wrong in ({**document, "more": 1}, {**document, "groups": [{"group": None}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SELECTION)
    changed = deepcopy(document)
    changed["groups"][0]["selections"][0]["front"] = ["0"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, SELECTION)


@pytest.mark.parametrize("layout", sorted((ROOT / "tests/layouts").glob("*.sql")), ids=lambda layout: layout.stem)
def test_the_rows_of_an_archive_fit_their_schema(layout: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.executescript(layout.read_text())
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM archive")]
    assert rows
    for row in rows:
        jsonschema.validate(row, ROW)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**row, "status": "fine"}, ROW)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**row, "accuracy": 91.4}, ROW)


def test_the_schema_of_a_row_knows_the_statuses_and_the_columns_of_a_profile() -> None:
    assert set(ROW["properties"]["status"]["enum"]) == set(STATUSES)
    searched = {"genome", "parents", "birth", "seed"}
    varied = {"variant", "parent", "precision_executed", "quantised_layers", "file_bytes"}
    assert set(ROW["properties"]) - searched - varied <= set(COLUMNS)
