"""A trace is what ecosel wrote, and no more of it is read than a trace can hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from profilers.energy.sampling.trace import MOST_SAMPLES, read_trace
from profilers.errors import ProfilerError


def test_a_few_bytes_cannot_declare_any_number_of_samples(tmp_path: Path) -> None:
    pl.select(time_s=pl.repeat(1.0, MOST_SAMPLES + 1)).write_parquet(tmp_path / "trace.parquet")
    assert (tmp_path / "trace.parquet").stat().st_size < 1_000_000
    with pytest.raises(ProfilerError, match="declares 20,000,001 samples"):
        read_trace(tmp_path / "trace.parquet")
