"""A trace is what ecosel wrote, and no more of it is read than a trace can hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from profilers.energy.sampling.trace import COLUMNS, MOST_SAMPLES, SCHEMA, read_trace
from profilers.errors import ProfilerError


def test_a_few_bytes_cannot_declare_any_number_of_samples(tmp_path: Path) -> None:
    pl.select(time_s=pl.repeat(1.0, MOST_SAMPLES + 1)).write_parquet(tmp_path / "trace.parquet")
    assert (tmp_path / "trace.parquet").stat().st_size < 1_000_000
    with pytest.raises(ProfilerError, match="declares 20,000,001 rows"):
        read_trace(tmp_path / "trace.parquet")


def test_the_readme_describes_every_column_of_a_trace() -> None:
    text = (Path(__file__).parents[4] / "profilers" / "README.md").read_text("utf-8")
    section = text.partition("### Files it writes")[2].partition("\n### ")[0]
    assert [name for name in (*COLUMNS, "edge", "slowdowns") if f"`{name}`" not in section] == []
    assert f"`schema` ({SCHEMA})" in section
