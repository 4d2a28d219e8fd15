"""What a killed worker left of a winner is removed, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evolver.archive import SearchArchive
from evolver.run.winners.leftovers import remove_leftovers, remove_leftovers_unless_running
from tests.conftest import ROOT, environment

OTHERS = [".hidden", ".run-1-5.ab12cd34.part", ".other-2.ab12cd34.part", "run-2.pt", "run-weights/2.pt"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "run-weights").mkdir()
    for name in (".run-2.json.part", ".run-2.genome.json.part", "run-weights/3.pt.part", *OTHERS):
        (tmp_path / name).write_text("")
    (tmp_path / ".run-2.ab12cd34.part").mkdir()
    (tmp_path / ".run-2.ab12cd34.part" / "run-2.pt2").write_text("half")
    return tmp_path / "run.db"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_unfinished_files_of_this_search_are_removed(archive: Path) -> None:
    remove_leftovers(archive)
    assert files(archive.parent) == set(OTHERS)


def test_those_of_a_search_that_runs_stay_until_it_has_ended(archive: Path) -> None:
    before = files(archive.parent)
    with SearchArchive(archive):
        remove_leftovers_unless_running(archive)
        assert before <= files(archive.parent)
    remove_leftovers_unless_running(archive)
    assert files(archive.parent) == {*OTHERS, "run.db", "run.db-lock"}


HANGS_UP = """
import signal, sys
from pathlib import Path
from types import SimpleNamespace
from evolver.run import session
from tests.evolver.toy import WORK, request

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, for one, starts the tests with SIGHUP ignored
closed = lambda: print("workers closed", flush=True)
session.open_engine = lambda *names, **options: SimpleNamespace(capacity=lambda: 1, close=closed)
session.evolve = lambda *arguments, **options: signal.raise_signal(signal.SIGHUP)
asked = request(Path(sys.argv[1]))
session.run(asked, WORK, executor=None, devices="cpu", workers=1, dry_run=False, progress="quiet")
"""


def test_a_terminal_that_is_closed_ends_a_search_by_the_signal_after_its_workers_and_unfinished_files(archive: Path) -> None:
    command = [sys.executable, "-c", HANGS_UP, str(archive)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment())
    assert (ended.returncode, ended.stdout) == (-signal.SIGHUP, "workers closed\n"), ended.stderr
    assert files(archive.parent) == {*OTHERS, "run.db-lock"}
