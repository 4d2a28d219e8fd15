"""Files that other versions of ecosel wrote: what a released version wrote is read, what a newer one wrote is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.report.sections import trace as drawn_trace
from ecosel.report.sections.trace import read_trace
from evolver.candidates import genomes
from evolver.errors import EvolverError
from evolver.run.request import unlike
from profilers.energy.sampling.trace import SCHEMA
from profilers.errors import MeterError, ProfilerError
from profilers.meters.replay import ReplayMeter
from profilers.results.archive import done

LAYOUTS = Path(__file__).parent / "layouts"  # one file for each kind and released version
ARCHIVES = sorted(LAYOUTS.glob("*.sql"))
TRACES = sorted(LAYOUTS.glob("trace-*.parquet"))


def database(script: Path, at: Path, *, layout: int | None = None) -> Path:
    with closing(sqlite3.connect(at)) as opened:
        opened.executescript(script.read_text())
        if layout is not None:
            opened.execute(f"PRAGMA application_id = {0x65636F73 if 'search' in script.name else 0x65636F70}")
            opened.execute(f"PRAGMA user_version = {layout}")
            opened.commit()
    return at


@pytest.mark.parametrize("script", ARCHIVES, ids=lambda script: script.stem)
def test_an_archive_of_an_older_version_is_read(script: Path, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    archive = database(script, tmp_path / "run.db")
    wanted = ("accuracy=max" if "search" in script.name else "energy_per_inference_j=min", "parameters=min")
    options = [word for one in wanted for word in (f"--{one.split('=')[1]}imize", one.split("=")[0])]
    for command in (("select",), ("report", "-o", tmp_path / "page.html")):
        outcome = ecosel(*command, archive, *options)
        assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("script", ARCHIVES, ids=lambda script: script.stem)
def test_an_archive_of_a_newer_version_is_refused_in_a_line(script: Path, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    archive = database(script, tmp_path / "run.db", layout=9)
    for command in ("select", "report"):
        outcome = ecosel(command, archive, "--minimize", "parameters", "--maximize", "accuracy")
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        assert "was written by a newer ecosel (format 9, this version reads 1); upgrade ecosel" in outcome.err


def test_profile_appends_to_an_older_archive_and_not_to_a_newer_one(tmp_path: Path) -> None:
    script = LAYOUTS / "profile-0.1.0.sql"
    assert set(done(database(script, tmp_path / "old.db")).values()) == {"ok"}
    with pytest.raises(ProfilerError, match="was written by a newer ecosel"):
        done(database(script, tmp_path / "new.db", layout=9))


def test_a_setting_that_an_older_archive_lacks_is_as_it_was() -> None:
    held = {"plan": {}, "births": 3}
    assert not unlike(held, {"plan": {}, "births": 3, "reproducible": False})
    assert unlike(held, {"plan": {}, "births": 3, "reproducible": True}) == "reproducible"
    assert unlike(held, {"plan": {"lag": 4}, "births": 3}) == "lag"


def test_evolve_does_not_continue_a_newer_archive(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    archive = database(LAYOUTS / "search-0.1.0.sql", tmp_path / "run.db", layout=9)
    outcome = ecosel("evolve", "--dataset", "digits", "--archive", archive, "--births", "1")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "newer ecosel" in outcome.err


def test_a_search_starts_from_an_older_archive_and_not_from_a_newer_one(tmp_path: Path) -> None:
    script = LAYOUTS / "search-0.1.0.sql"
    assert genomes(database(script, tmp_path / "old.db"), 3)
    with pytest.raises(EvolverError, match="was written by a newer ecosel"):
        genomes(database(script, tmp_path / "new.db", layout=9), 3)


def test_a_trace_of_a_newer_version_is_refused_by_all_its_readers(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    frame = pl.DataFrame({"time_s": [0.0, 1.0, 2.0, 3.0], "power_w": [1.0] * 4})
    newer = {"ecosel": json.dumps({"schema": SCHEMA + 1})}
    frame.write_parquet(tmp_path / "new.parquet", metadata=newer)
    says = f"it has trace schema {SCHEMA + 1}, this version reads {SCHEMA}; upgrade ecosel"
    for command in (
        ("energy", tmp_path / "new.parquet", "--start", "0", "--end", "2"),
        ("profile", "--verify", tmp_path / "new.parquet"),
    ):
        outcome = ecosel(*command)
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        assert says in outcome.err
    with pytest.raises(MeterError, match=says):
        ReplayMeter(tmp_path / "new.parquet")
    with pytest.raises(ValueError, match=says):
        read_trace("new.parquet", folder=tmp_path)
    assert drawn_trace.SCHEMA == SCHEMA


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.stem)
def test_a_trace_of_an_older_version_verifies(trace: Path, ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("profile", "--verify", trace)
    assert outcome.status == 0, outcome.err
