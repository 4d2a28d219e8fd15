"""Rows that are appended to archives by processes that may die or run side by side."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ProfilerError
from profilers.measuring.settings import ProfileSettings
from profilers.results.archive import COLUMNS, append, done, failed_row
from tests.conftest import ROOT, Outcome, environment
from tests.profilers.conftest import as_nobody


def row(name: str = "net", **more: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(COLUMNS)
        | {"candidate_id": name, "status": "ok", "configuration": name, "accuracy": 0.9, "parameters": 10}
        | more
    )


APPEND = "from profilers.results.archive import append"


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_rows_are_appended_named_apart_and_read_by_select(name: str, tmp_path: Path, ecosel: Callable[..., Outcome]) -> None:
    path = tmp_path / name
    named = [append(path, one)[0]["candidate_id"] for one in (row(), row(parameters=5), row("other", accuracy=0.5))]
    assert named == ["net", "net-2", "other"]
    assert done(path) == {"net": "ok", "other": "ok"}
    outcome = ecosel("select", path, "--format", "json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["archive"]["used"] == 3


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_processes_that_append_at_once_lose_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    code = f"import json; from pathlib import Path; {APPEND}\nfor _ in range(15): append(Path({str(path)!r}), json.loads({json.dumps(row())!r}))"
    writers = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment()) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    (last,) = append(path, row())
    assert last["candidate_id"] == "net-61"


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
def test_a_file_that_is_not_an_archive_is_left_unchanged(content: bytes, name: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProfilerError, match=words):
        append(path, row())
    assert path.read_bytes() == content


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE trials (id INTEGER)")
    with pytest.raises(ProfilerError, match="not made by ecosel profile"):
        append(path, row())
    with pytest.raises(ProfilerError, match="not made by ecosel profile"):
        done(path)


def test_a_folder_that_is_missing_gives_one_line(tmp_path: Path) -> None:
    for name in ("runs.db", "runs.ndjson"):
        with pytest.raises(ProfilerError, match="cannot append"):
            append(tmp_path / "none" / name, row())
        with pytest.raises(ProfilerError, match="not a writable folder"):
            done(tmp_path / "none" / name)


@pytest.mark.parametrize("name", ["a#b?c%41.db", "a#b?c%41.ndjson"])
def test_a_name_that_looks_like_a_part_of_an_address_is_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    append(path, row())
    assert done(path) == {"net": "ok"}
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_an_archive_whose_writer_died_before_its_first_row_is_empty(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    assert done(path) == {}
    append(path, row())
    assert done(path) == {"net": "ok"}


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_an_archive_that_takes_no_row_is_refused_before_the_measurement(name: str, folder_of_all: Path) -> None:
    path = folder_of_all / name
    append(path, row())
    path.chmod(0o444)

    def look() -> str:
        try:
            return str(done(path))
        except ProfilerError as error:
            return str(error)

    assert as_nobody(look).startswith(f"cannot append to {path}: ")
    path.unlink()
    assert as_nobody(look).endswith("is not a writable folder")


def test_a_killed_writer_of_sqlite_leaves_the_rows_before_it(tmp_path: Path) -> None:
    """Killed between the pages of a commit: its journal is rolled back by the next run, which finds all earlier rows."""
    path = tmp_path / "runs.db"
    for number in range(200):
        append(path, row(f"net{number}", configuration=f"{number}"))
    code = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("UPDATE profile SET remarks = 'half' || hex(randomblob(500))")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert (tmp_path / "runs.db-journal").stat().st_size > 0
    assert len(done(path)) == 200
    append(path, row("next"))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*), count(remarks) FROM profile").fetchone() == (201, 0)


def test_a_full_disk_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write of a row stops in its middle."""
    path = tmp_path / "runs.ndjson"
    append(path, row("a"))
    whole = path.read_bytes()
    code = f"""
import json, resource, signal
from pathlib import Path
from profilers.errors import ProfilerError
{APPEND}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 100},) * 2)
try:
    append(Path({str(path)!r}), json.loads({json.dumps(row("b"))!r}))
except ProfilerError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert said.stdout == f"cannot append to {path}: File too large\n"
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["runs.db", "runs.ndjson"])
def test_rows_that_belong_together_are_appended_together_under_a_new_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    family = (row("net"), row("net-fold", parent="net", variant="fold"), row("other"))
    append(path, *family)
    again = append(path, *family)
    assert [one["candidate_id"] for one in again] == ["net-2", "net-2-fold", "other-2"]
    assert [one.get("parent") for one in again] == [None, "net-2", None]


def test_of_rows_that_belong_together_a_full_disk_takes_none(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    append(path, row("a"))
    with pytest.raises(ProfilerError, match="cannot append"):
        append(path, row("b"), row("c", status=None))  # a database refuses the second
    assert done(path) == {"a": "ok"}


def test_an_archive_of_an_older_version_takes_new_rows_and_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    old = [name for name in COLUMNS if name not in ("flops", "peak_memory_bytes")]
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE profile ({', '.join(old)})")
        database.execute("CREATE VIEW archive AS SELECT * FROM profile")
        database.execute("INSERT INTO profile (candidate_id, status, configuration) VALUES ('first', 'ok', 'first')")
    append(path, row("second", flops=7))
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT candidate_id, flops FROM archive ORDER BY candidate_id").fetchall()
    assert rows == [("first", None), ("second", 7)]
    assert done(path) == {"first": "ok", "second": "ok"}


@pytest.mark.parametrize("sql", [
    "CREATE TRIGGER t AFTER INSERT ON profile BEGIN SELECT 1; END", "CREATE INDEX i ON profile(hex(zeroblob(9)))",
    "ALTER TABLE profile ADD COLUMN n AS (hex(zeroblob(9)))", "CREATE TABLE others (n)",
])  # fmt: skip
def test_an_archive_that_runs_something_when_it_is_written_is_refused(sql: str, tmp_path: Path) -> None:
    append(tmp_path / "runs.db", row("a"))
    with sqlite3.connect(tmp_path / "runs.db") as database:
        database.execute(sql)
    for use in (done, lambda path: append(path, row("b"))):
        with pytest.raises(ProfilerError, match="which ecosel profile did not make"):
            use(tmp_path / "runs.db")


def test_a_failed_measurement_leaves_a_row_of_its_settings_and_nothing_measured() -> None:
    settings = ProfileSettings("net.pt", batch_size=8, precision="bf16", compile=True)
    failed = failed_row(settings, candidate="net", configuration="c", status="oom", reason="too large")
    assert tuple(failed) == COLUMNS
    known = {name: value for name, value in failed.items() if value is not None}
    assert known == {
        "candidate_id": "net", "configuration": "c", "status": "oom", "remarks": "too large", "batch_size": 8,
        "precision": "bf16", "mode": "paper", "channels_last": False, "compiled": True, "model": "net.pt",
    }  # fmt: skip
