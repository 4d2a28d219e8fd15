"""Power traces beside an archive: read, drawn, compared; a stranger's path leads nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import profilers.energy.sampling.trace
from ecosel.report.sections.trace import read_trace, trace_charts
from ecosel.report.view.view import group_views
from profilers.energy.sampling.trace import COLUMNS, PowerTrace
from tests.ecosel.report.archives import archive
from tests.ecosel.report.conftest import selected

FACTS = {
    "raw": {"marks": {"groups": [{"start_s": 101.0, "end_s": 102.0}, {"start_s": 103.0, "end_s": 104.0}]}},
    "profile": {"energy": {"counter": {"value": 0.0200}, "power": {"value": 0.0190}}},
}


def write_trace(path: Path, *, facts: Any = FACTS) -> None:
    """Write a trace with the profiler itself, or with other facts by hand."""
    time = np.linspace(100, 105, 51)
    if isinstance(facts, dict):
        blank: dict[str, Any] = {name: np.full(51, np.nan) for name in COLUMNS}
        trace = PowerTrace(
            **{**blank, "time_s": time, "power_w": np.full(51, 100.0)}, edge=np.zeros(51, bool), slowdowns=(None,) * 51
        )
        profilers.energy.sampling.trace.write_trace(path, trace, facts)
    else:
        frame = pl.DataFrame({"time_s": time, "power_w": np.full(51, 100.0)})
        frame.write_parquet(path, metadata={} if facts is None else {"ecosel": facts})


def test_a_trace_is_drawn_with_its_windows_counter_against_integral(tmp_path: Path) -> None:
    write_trace(tmp_path / "a.parquet")
    selection, rows = selected(archive(5).with_columns(pl.lit("a.parquet").alias("trace")))
    views = group_views(selection)
    figures = trace_charts(rows, views, folder=tmp_path)
    assert len(figures) == len(views[0].letters)
    assert "counter 0.02 J, integral of power 0.019 J (-5.0 %)" in figures[0].words
    assert figures[0].drawing is not None
    assert figures[0].drawing.data["windows"] == {
        "start_s": pytest.approx([1.0, 3.0]),
        "end_s": pytest.approx([2.0, 4.0]),
    }


def test_the_energy_that_was_not_measured_is_named(tmp_path: Path) -> None:
    write_trace(tmp_path / "a.parquet", facts={"profile": {"energy": {"power": {"value": 0.019}}}})
    selection, rows = selected(archive(5).with_columns(pl.lit("a.parquet").alias("trace")))
    figures = trace_charts(rows, group_views(selection), folder=tmp_path)
    assert "counter not measured, integral of power 0.019 J." in figures[0].words


def test_without_traces_there_is_no_section(tmp_path: Path) -> None:
    selection, rows = selected(archive(5))
    assert trace_charts(rows, group_views(selection), folder=tmp_path) == []
    empty = rows.with_columns(pl.lit(None, dtype=pl.String).alias("trace"))
    assert trace_charts(empty, group_views(selection), folder=tmp_path) == []


@pytest.mark.parametrize("name", ["../secret.parquet", "/etc/hostname", "sub/../../secret.parquet", "..\\secret.parquet"])
def test_a_path_out_of_the_folder_is_not_read(name: str, tmp_path: Path) -> None:
    write_trace(tmp_path / "secret.parquet")
    (tmp_path / "inside").mkdir()
    with pytest.raises(ValueError, match="outside the folder"):
        read_trace(name, folder=tmp_path / "inside")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_trace(tmp_path / "secret.parquet")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.parquet").symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(ValueError, match="outside the folder"):
        read_trace("a.parquet", folder=tmp_path / "inside")


def test_a_trace_that_cannot_be_read_says_so_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    selection, rows = selected(archive(5).with_columns(pl.lit("a.parquet").alias("trace")))
    figures = trace_charts(rows, group_views(selection), folder=tmp_path)
    assert "cannot be read" in figures[0].words
    with pytest.raises(ValueError, match="no such file"):
        read_trace("b.parquet", folder=tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        None,
        "{",
        "[]",
        {"raw": "x", "profile": {"energy": {"counter": "many"}}},
        {"raw": {"marks": {"groups": [{"start_s": None}]}}},
    ],
)
def test_what_is_not_stated_is_not_made_up(facts: Any, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.parquet", facts=facts)
    trace = read_trace("a.parquet", folder=tmp_path)
    assert (trace.energy_counter_j, trace.energy_power_j, trace.windows.height) == (None, None, 0)
    selection, rows = selected(archive(5).with_columns(pl.lit("a.parquet").alias("trace")))
    figures = trace_charts(rows, group_views(selection), folder=tmp_path)
    assert "Their energy is not stated." in figures[0].words


def test_a_long_trace_keeps_its_peaks(tmp_path: Path) -> None:
    power = np.full(100_000, 50.0)
    power[[1_234, 77_777]] = (400.0, 3.0)
    pl.DataFrame({"time_s": np.arange(100_000) / 100, "power_w": power}).write_parquet(tmp_path / "a.parquet")
    selection, rows = selected(archive(2).with_columns(pl.lit("a.parquet").alias("trace")))
    figures = trace_charts(rows, group_views(selection), folder=tmp_path)
    assert figures[0].drawing is not None
    drawn = figures[0].drawing.data["readings"]["power_w"]
    assert len(drawn) < 3_000
    assert (max(drawn), min(drawn)) == (400.0, 3.0)
