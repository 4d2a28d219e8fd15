"""Windows of somebody's own loop: joules with an interval, nested, overlapping, in threads; refused rather than 0."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import profilers
from profilers.energy.sampling.sampler import Sampler
from profilers.errors import MeterError
from profilers.live import _running
from profilers.meters import NoMeter, find_meter
from tests.conftest import ROOT, environment


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """Return a meter that plays 50 W, and 200 W from 0.2 s to 60 s."""
    times = np.arange(0, 60, 0.02)
    file = tmp_path / "trace.parquet"
    pl.DataFrame({"time_s": times, "power_w": np.full(len(times), 200.0)}).write_parquet(file)
    return f"replay:{file}"


def spend(seconds: float) -> None:
    """Let time pass, and more of it where a busy machine keeps the sampler from its ten readings a second."""
    [shared] = _running.values()
    end_s, readings = time.monotonic() + seconds, len(shared.sampler.trace().time_s) + int(10 * seconds)
    while time.monotonic() < end_s or len(shared.sampler.trace().time_s) < readings:
        shared.sampler.wait(0.02)


def test_nested_and_overlapping_windows_share_one_sampler_that_is_gone_after(trace: str) -> None:
    with profilers.window("cpu", meter=trace) as outer:
        spend(0.35)
        with profilers.window("cpu", meter=trace) as inner:
            spend(0.7)
        other = profilers.window("cpu", meter=trace)
        spend(0.1)
    assert len(_running) == 1
    spend(0.6)
    other.end()
    for measured in (inner, outer, other):
        assert measured.joules == pytest.approx(200 * measured.seconds, rel=0.02)
        assert measured.low is not None
        assert measured.high is not None
        assert measured.low <= measured.joules <= measured.high
    assert not _running
    assert not any("power sampler" in thread.name for thread in threading.enumerate())


def test_ten_readings_a_second_take_less_than_half_a_percent_of_a_core(trace: str) -> None:
    meter = find_meter(trace, "cpu")
    assert not isinstance(meter, NoMeter)
    sampler, before_s = Sampler(meter), time.thread_time()
    for _ in range(300):
        sampler.read()
    assert (time.thread_time() - before_s) / 300 * 10 < 0.005


def test_windows_of_several_threads_do_not_disturb_each_other(trace: str) -> None:
    found: list[profilers.Measured] = []

    def work() -> None:
        with profilers.window("cpu", meter=trace) as measured:
            spend(0.7)
        found.append(measured)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.joules == pytest.approx(200 * one.seconds, rel=0.02) for one in found] == [True] * 3


def test_a_declared_power_times_the_time() -> None:
    with profilers.window("cpu", meter="constant:65") as measured:
        spend(0.3)
    assert measured.joules == pytest.approx(65 * measured.seconds, rel=1e-6)


def test_an_ambiguous_log_is_refused(trace: str) -> None:
    with pytest.raises(MeterError):
        profilers.window("cpu", meter="replay:absent.parquet")
    measured = profilers.window("cpu", meter=trace)
    with pytest.raises(ValueError, match="has not ended"):
        measured.joules  # noqa: B018
    measured.end()
    with pytest.raises(MeterError, match="too short"):
        measured.joules  # noqa: B018


def test_windows_that_nobody_ends_or_asks_leave_no_sampler_behind(trace: str) -> None:
    def forget() -> None:
        profilers.window("cpu", meter=trace)
        with profilers.window("cpu", meter=trace):
            assert len(_running) == 1

    forget()
    for thread in threading.enumerate():
        if "abandoned" in thread.name:
            thread.join()
    assert not _running


def test_a_window_that_several_threads_ask_at_once_leaves_once(trace: str) -> None:
    measured, other = profilers.window("cpu", meter=trace), profilers.window("cpu", meter=trace)
    spend(0.7)
    measured.end()
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(measured.joules)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(_running) == 1
    assert other.end().joules == pytest.approx(200 * other.seconds, rel=0.02)
    assert not _running


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, profilers; print(sorted({'numpy', 'torch', 'polars', 'pynvml'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
