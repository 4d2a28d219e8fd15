"""Rows that are appended to archives by processes that may die or run side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ProfilerError
from profilers.rows import COLUMNS, append, done
from tests.conftest import ROOT, Outcome, environment


def row(name: str = "net", **more: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(COLUMNS)
        | {"candidate_id": name, "status": "ok", "configuration": name, "accuracy": 0.9, "parameters": 10}
        | more
    )


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_rows_are_appended_named_apart_and_read_by_select(name: str, tmp_path: Path, ecosel: Callable[..., Outcome]) -> None:
    path = tmp_path / name
    assert [append(path, row()), append(path, row(parameters=5)), append(path, row("other", accuracy=0.5))] == [
        "net",
        "net-2",
        "other",
    ]
    assert done(path) == {"net": "ok", "other": "ok"}
    outcome = ecosel("select", path, "--format", "json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["archive"]["used"] == 3


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_processes_that_append_at_once_lose_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    code = "import sys; from pathlib import Path; from profilers.rows import append; from tests.profilers.test_rows import row\nfor _ in range(15): append(Path(sys.argv[1]), row())"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, env=environment()) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    names = [append(path, row())]
    assert names == ["net-61"]


@pytest.mark.parametrize("cut", [1, 30, 400])
def test_a_record_that_a_dying_writer_left_unfinished_is_dropped_and_the_others_stay(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "runs.ndjson"
    append(path, row("a"))
    whole = path.read_bytes()
    append(path, row("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert done(path)["a"] == "ok"
    append(path, row("c"))
    assert path.read_bytes().startswith(whole)
    names = [json.loads(line)["candidate_id"] for line in path.read_text().splitlines()]
    assert names == (["a", "b", "c"] if cut == 1 else ["a", "c"])


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"a,b\n1,2\n", "runs.db", "neither SQLite nor NDJSON"),
        (b'{"a": 1}\nnonsense\n', "runs.ndjson", "not NDJSON"),
        (b"", "runs.csv", r"\.db \(SQLite\) or \.ndjson"),
    ],
)
def test_what_is_no_archive_is_left_as_it_is(content: bytes, name: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProfilerError, match=words):
        append(path, row())
    assert path.read_bytes() == content


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE trials (id INTEGER)")
    with pytest.raises(ProfilerError, match="did not make"):
        append(path, row())
    with pytest.raises(ProfilerError, match="did not make"):
        done(path)


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path) -> None:
    for name in ("runs.db", "runs.ndjson"):
        with pytest.raises(ProfilerError, match="cannot append"):
            append(tmp_path / "none" / name, row())
