"""The archive: births and outcomes once, canonical columns for `ecosel select`, one writer, plain words when it fails."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from ecosel.objectives import STATUSES as ECOSEL_STATUSES
from evolver import candidates
from evolver.archive import SearchArchive
from evolver.candidates import genomes
from evolver.errors import EvolverError
from evolver.jobs import STATUSES, Outcome
from evolver.search.optimizer import Birth
from tests.conftest import ROOT, environment
from tests.conftest import Outcome as Ran


def birth(number: int, parents: tuple[int, ...] = ()) -> Birth[str]:
    return Birth(number, f'{{"n": {number}}}', f"k{number}", parents, 7 * number, number, {"parameters": 1000.0 + number})


def fill(archive: SearchArchive, count: int = 4) -> None:
    archive.begin({"space": {"classes": 10}}, dataset="digits")
    for number in range(count):
        archive.save_birth(birth(number, (0, 1) if number > 1 else ()))
        accuracy = 0.9 + number / 100
        archive.save_outcome(number, "train", Outcome("ok", accuracy=accuracy, parameters=1000 + number, curve=((1, 0.5),)))


def save(archive: SearchArchive, numbers: Iterable[int]) -> None:
    for number in numbers:
        archive.save_birth(birth(number))


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def test_the_statuses_are_those_that_ecosel_knows() -> None:
    assert STATUSES == ECOSEL_STATUSES


def test_births_and_outcomes_come_back_as_they_were_saved(tmp_path: Path) -> None:
    saved = Outcome("stopped", "hopeless", curve=((1, 0.25), (3, 0.5)), notes={"energy": "no meter"}, peak_memory_bytes=5)
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        archive.save_birth(birth(4, (1, 2)))
        archive.save_outcome(4, "train", saved)
    with SearchArchive(tmp_path / "run.db") as archive:
        assert list(archive.births()) == [birth(0), birth(1), birth(2, (0, 1)), birth(3, (0, 1)), birth(4, (1, 2))]
        assert list(archive.outcomes())[4] == (4, "train", saved)
        assert archive.settings == {"space": {"classes": 10}}


def test_an_outcome_counts_once(tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        assert not archive.save_outcome(2, "train", Outcome("crash", "came late"))
        assert archive.save_outcome(2, "measure", Outcome("ok", energy_per_inference_j=0.25))
    assert rows(tmp_path / "run.db", "SELECT status, energy_per_inference_j FROM archive WHERE candidate_id = '2'") == [
        ("ok", 0.25)
    ]


def test_the_view_has_the_canonical_columns_one_row_a_finished_birth(tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        archive.save_birth(birth(4))
        archive.save_outcome(1, "measure", Outcome("ok", inference_time_s=0.5, energy_per_inference_j=None, device="cpu"))
        archive.save_outcome(1, "final", Outcome("ok", accuracy=0.75))
    found = rows(
        tmp_path / "run.db",
        "SELECT candidate_id, status, dataset, accuracy, inference_time_s, parameters, energy_per_inference_j, energy_source,"
        " batch_size, device, precision, genome, parents, seed, birth, test_accuracy FROM archive WHERE birth > 0",
    )
    assert found == [
        ("1", "ok", "digits", 0.91, 0.5, 1001, None, None, None, "cpu", None, '{"n": 1}', "[]", 7, 1, 0.75),
        ("2", "ok", "digits", 0.92, None, 1002, None, None, None, None, None, '{"n": 2}', '["0", "1"]', 14, 2, None),
        ("3", "ok", "digits", 0.93, None, 1003, None, None, None, None, None, '{"n": 3}', '["0", "1"]', 21, 3, None),
    ]


def test_a_second_writer_is_refused_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        with pytest.raises(EvolverError, match=f"being written by process {os.getpid()} on"):
            SearchArchive(tmp_path / "run.db")
    SearchArchive(tmp_path / "run.db").close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    SearchArchive(tmp_path / "run.db").close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(EvolverError, match=r"newer ecosel \(format 99, this version reads 1\); upgrade ecosel"):
        SearchArchive(tmp_path / "run.db")


def test_a_database_of_another_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.execute("CREATE TABLE mine (x)")
    with pytest.raises(EvolverError, match="another program"):
        SearchArchive(tmp_path / "run.db")
    assert rows(tmp_path / "run.db", "SELECT name FROM sqlite_master") == [("mine",)]


@pytest.mark.parametrize(("content", "words"), [(b"no database at all, but long enough to look" * 9, "not a readable archive")])
def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(EvolverError, match="not a readable archive"):
        SearchArchive(tmp_path / "run.db")
    assert (tmp_path / "run.db").read_bytes() == content


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvolverError, match="No such file or directory; name a file in a writable folder"):
        SearchArchive(tmp_path / "missing" / "run.db")


def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        (pages,) = archive._database.execute("PRAGMA page_count").fetchone()
        archive._database.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(EvolverError, match="is full; finished work is kept: free some space and run the same command again"):
            save(archive, range(4, 1000))
        kept = [saved.number for saved in archive.births()]
        archive._database.execute("PRAGMA max_page_count = 100000")
        archive.save_birth(birth(len(kept)))
    assert kept == list(range(len(kept)))
    assert len(kept) >= 4
    assert rows(tmp_path / "run.db", "PRAGMA integrity_check") == [("ok",)]


def test_a_disk_with_room_for_nothing_leaves_no_empty_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(archive: SearchArchive) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(SearchArchive, "_prepare", full)
    with pytest.raises(EvolverError, match="disk is full"):
        SearchArchive(tmp_path / "run.db")
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from tests.evolver.test_archive import SearchArchive, Outcome, birth, fill
archive = SearchArchive(Path(sys.argv[1]))
fill(archive, 50)
print("written", flush=True)
sys.stdin.read()
"""


def test_select_reads_while_the_master_writes_and_after_it_was_killed(tmp_path: Path, ecosel: Callable[..., Ran]) -> None:
    path = tmp_path / "run.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT)),
    ) as master:
        assert master.stdout is not None
        assert master.stdout.readline() == b"written\n"
        for _ in ("while it runs", "after kill -9"):
            ran = ecosel("select", path, "--format", "json")
            assert ran.status == 0, ran.err
            assert json.loads(ran.out)["archive"]["used"] == 50
            master.kill()
            master.wait()
        assert Path(f"{path}-wal").exists()
    with SearchArchive(path) as archive:
        assert len(list(archive.outcomes())) == 50


STRANGERS = {
    "a view that never ends": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT '{}', 'ok', n, n FROM t",
    "a view that gives no row": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT '', 'ok', n, n FROM t WHERE n < 0",
    "a cell of 900 MB": "SELECT zeroblob(900000000), 'ok', 1, 1",
}


@pytest.mark.parametrize("case", STRANGERS)
def test_a_strangers_archive_can_neither_hang_nor_fill_the_machine(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_PATIENCE_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.execute(f"CREATE VIEW archive (genome, status, accuracy, birth) AS {STRANGERS[case]}")
    with pytest.raises(EvolverError, match=r"--start: cannot read .*(more than 0\.1 s|too big)"):
        genomes(tmp_path / "run.db", 10)


def test_a_genome_without_end_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "genome.json"
    path.write_text("{}")
    assert genomes(path, 10) == ("{}",)
    os.truncate(path, 10**11)
    with pytest.raises(EvolverError, match="longer than 1,000,000 bytes"):
        genomes(path, 10)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON sessions BEGIN SELECT 1; END",
        "CREATE INDEX i ON sessions(length(hex(zeroblob(9))))",
        "CREATE VIEW others AS SELECT 1",
        "CREATE TABLE others (n)",
        "ALTER TABLE sessions ADD COLUMN n AS (length(hex(zeroblob(9))))",
        "ALTER TABLE sessions RENAME TO births2",
    ],
)
def test_an_archive_that_runs_something_when_it_is_written_is_refused(sql: str, tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        archive.begin({}, dataset="digits")
    with closing(sqlite3.connect(tmp_path / "run.db")) as database:
        database.execute(sql)
    with pytest.raises(EvolverError, match=r"which ecosel did not make|computes as it is written"):
        SearchArchive(tmp_path / "run.db")


@pytest.mark.parametrize(("sql", "read"), [
    ("UPDATE run SET settings = '[[['", lambda archive: archive.settings),
    ("UPDATE births SET parents = '[null]'", lambda archive: list(archive.births())),
    ("UPDATE outcomes SET curve = '[1]'", lambda archive: list(archive.outcomes())),
])  # fmt: skip
def test_values_that_ecosel_did_not_write_are_named(sql: str, read: Callable[[SearchArchive], object], tmp_path: Path) -> None:
    with SearchArchive(tmp_path / "run.db") as archive:
        fill(archive)
        archive._database.execute(sql)
        with pytest.raises(EvolverError, match="values that ecosel did not write"):
            read(archive)


def test_an_archive_that_was_deleted_while_the_search_ran_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.db"
    path.parent.mkdir()
    with SearchArchive(path) as archive:
        fill(archive)
        shutil.rmtree(path.parent)
        with pytest.raises(EvolverError, match=r"run\.db was moved or deleted while the search ran"), archive.together():
            save(archive, [4])
    with SearchArchive(path) as archive:
        assert [one.number for one in archive.births()] == [0, 1, 2, 3, 4]
        assert len(list(archive.outcomes())) == 4


def test_only_an_archive_that_was_replaced_stops_a_search_without_being_written_again(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with SearchArchive(path) as archive:
        fill(archive)
        Path(f"{path}-lock").unlink()  # somebody tidies up
        with archive.together():
            save(archive, [4])
        path.unlink()
        path.write_text("another file")
        with pytest.raises(EvolverError, match=r"another file took the place of .*run\.db"), archive.together():
            save(archive, [5])
    assert path.read_text() == "another file"
