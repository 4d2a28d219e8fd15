"""Two searches in one table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ecosel.errors import ArchiveError
from evolver.archive import SearchArchive
from evolver.jobs import Outcome, Reestimate
from evolver.run.winners.comparison import compared
from evolver.search.optimizer import Birth


def test_searches_are_compared_by_what_they_chose(tmp_path: Path) -> None:
    for name, tested in (("random", 0.61), ("evolved", None)):
        with SearchArchive(tmp_path / f"{name}.db") as archive:
            archive.begin({}, dataset="digits")
            for number, accuracy in enumerate((0.9, 0.8)):
                archive.save_birth(Birth(number, "{}", f"k{number}", (), 1, 0, {}))
                archive.save_outcome(number, "train", Outcome("ok", accuracy=accuracy, accuracy_low=0.7, accuracy_high=0.95))
            archive.save_birth(Birth(2, "{}", "k2", (), 1, 0, {}))
            archive.save_outcome(2, "train", Outcome("nan", "not finite"))
            archive.save_outcome(1, "again-1", Outcome("ok", accuracy=0.7))
            archive.save_reestimate(1, Reestimate(0.75, 0.6, 0.85, 0.05, 3))
            if tested is not None:
                archive.save_outcome(1, "final", Outcome("ok", accuracy=tested))
    assert compared([tmp_path / "random.db", tmp_path / "evolved.db"]).splitlines() == [
        "search   trainings  networks that learned  highest accuracy seen  chosen  its mean accuracy       test accuracy",
        "-------  ---------  ---------------------  ---------------------  ------  ----------------------  -------------",
        "random   5          2 of 3                 90.0%                  1       75.0% (60.0% to 85.0%)  61.0%",
        "evolved  4          2 of 3                 90.0%                  none    -                       -",
    ]


def test_a_file_that_is_not_an_archive_gives_one_line(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE trials (id)")
    with pytest.raises(ArchiveError, match="is not an archive of ecosel evolve"):
        compared([tmp_path / "other.db"])
