"""JSON in whatever form a table is written there, and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.table import ROW

FRAME = pd.DataFrame({"model": ["a", "b", "c"], "acc": [0.9, 0.8, None], "ms": [5, 2, 1]})
ROWS = [("a", 0.9, 5), ("b", 0.8, 2), ("c", None, 1)]


def rows(file: Path, *columns: str, **options: Any) -> list[tuple[Any, ...]]:
    return open_archive([str(file)], **options).read(list(columns)).drop(ROW).rows()


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
@pytest.mark.parametrize("named", [False, True])
def test_every_form_of_pandas_is_read(tmp_path: Path, orient: Any, named: bool) -> None:
    frame = FRAME.set_index("model") if named and orient not in ("records",) else FRAME
    (tmp_path / "t.json").write_text(frame.to_json(orient=orient))
    label = "name" if named and orient in ("columns", "index", "split") else "model"
    if named and orient == "columns":  # numbers alone: nothing tells rows from columns
        frame.assign(kind=["x", "y", "z"]).to_json(tmp_path / "t.json", orient=orient)
    assert rows(tmp_path / "t.json", label, "acc", "ms") == ROWS


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ({"a": {"acc": 0.9, "ms": 5}, "b": {"acc": 0.8, "ms": 2}, "c": {"ms": 1}}, "name"),
        ({"model": ["a", "b", "c"], "acc": [0.9, 0.8, None], "ms": [5, 2, 1]}, "model"),
        ({"runs": [{"model": "a", "acc": 0.9, "ms": 5}, {"model": "b", "acc": 0.8, "ms": 2}, {"model": "c", "ms": 1}]}, "model"),
    ],
)
def test_objects_by_name_and_lists_by_column_are_tables(tmp_path: Path, document: Any, columns: str) -> None:
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert rows(tmp_path / "t.json", columns, "acc", "ms") == ROWS
    (tmp_path / "t.json").write_text(json.dumps({"models": document, "version": 2}))
    if "runs" not in document:
        assert rows(tmp_path / "t.json", columns, "acc", "ms", table="models") == ROWS


def test_values_beside_a_list_of_records_are_carried_into_each(tmp_path: Path) -> None:
    document = {
        "model": "x",
        "ms": 9,
        "gpu": {"name": "A100"},
        "tags": ["t"],
        "results": [{"batch": 1, "ms": 5}, {"batch": 8, "ms": 2}],
    }
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert rows(tmp_path / "t.json", "model", "gpu.name", "batch", "ms") == [("x", "A100", 1, 5), ("x", "A100", 8, 2)]


def test_one_model_stays_one_record(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"acc": 0.9, "ms": 5, "config": {"lr": 0.1}, "curve": [1, 2]}')
    assert rows(tmp_path / "t.json", "acc", "config.lr") == [(0.9, 0.1)]
    (tmp_path / "t.json").write_text('{"a": [1, 2], "b": [1]}')
    with pytest.raises(ArchiveError, match="no list of records in the document"):
        open_archive([str(tmp_path / "t.json")])


MARKDOWN = """# Results

Some | words.

| Model | Top-1 (%) | Params |
|:------|----------:|:------:|
| **[a](http://x)** | 90.5 | `5M` |
| b \\| c | *80* | 2M |

| other | table |
|---|---|
| 1 | 2 |
"""


@pytest.mark.parametrize("name", ["README.md", "t.txt"])
def test_a_markdown_table_is_read(tmp_path: Path, ecosel: Callable[..., Any], name: str) -> None:
    (tmp_path / name).write_text(MARKDOWN)
    archive = open_archive([str(tmp_path / name)])
    assert rows(tmp_path / name, "Model", "Top-1 (%)", "Params") == [("a", "90.5", "5M"), ("b | c", "80", "2M")]
    assert archive.remarks == ("reading the first of 2 tables in the file",)
    outcome = ecosel("select", tmp_path / name, "--maximize", "top-1 (%)", "--minimize", "params", "--format", "json")
    assert json.loads(outcome.out)["groups"][0]["selections"][0]["front"] == [0, 1]


def test_a_markdown_row_of_another_length_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text("a | b\n---|---\n1 | 2\n1\\|2 | x\n1 | 2 | 3\n")
    with pytest.raises(ArchiveError, match="row 2 has 3 cells, but the header has 2"):
        open_archive([str(tmp_path / "t.md")])
