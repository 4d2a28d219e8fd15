"""Windows of somebody's own loop: joules with an interval, nested, overlapping, in threads; refused rather than 0."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import profilers
from profilers.energy.sampling.sampler import Sampler
from profilers.errors import MeterError
from profilers.live import _running
from profilers.meters import NoMeter, find_meter
from tests.conftest import ROOT, environment
from tests.profilers.conftest import run_child


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


BOARD = "\nboard GPU-1\nname NVIDIA H200\ncc 9 0\npower 75\nperiod 0.1012\nwindow 0.025\ntick 0.1\n"
_MEASURE = """
import json, os, time
import profilers

def until(at_s):
    while (left_s := at_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.01))

def load_from(origin_s, steps, more=""):
    with open(os.environ["NVML_STANDIN"], "w") as file:
        file.write(f"clock real\\norigin {origin_s}" + BOARD + "".join(f"step {at} {watts}\\n" for at, watts in steps) + more)

def true_j(origin_s, steps, start_s, end_s):
    ends = [at for at, _ in steps[1:]] + [1e9]
    return sum(w * max(0, min(end_s - origin_s, end) - max(start_s - origin_s, at)) for (at, w), end in zip(steps, ends))

def told(measured, origin_s, steps):
    return [measured.joules, measured.low, measured.high, true_j(origin_s, steps, measured.start_s, measured.end_s), measured.warnings]
"""


def on_the_standin(nvml_standin: Callable[..., dict[str, str]], code: str, *, more: str = "") -> Any:
    """Run code beside a board whose counter ticks every 100 ms, and return the JSON that it prints."""
    return run_child(nvml_standin(f"clock real{BOARD}{more}"), f"BOARD = {BOARD!r}\n{_MEASURE}{code}")


def test_short_windows_are_measured_by_the_counter_of_a_board(nvml_standin: Callable[..., dict[str, str]]) -> None:
    """Three in a row: idle at both ends, at the beginning, and at none; and one around all. A load begins and ends within them."""
    code = """
profilers.window("cpu", meter="constant:65").end().joules  # everything is imported
origin_s = time.monotonic()
steps = [(0, 75), (0.75, 300), (1.05, 75), (1.75, 320), (99, 75)]
load_from(origin_s, steps)
whole = profilers.window("cpu", meter="nvml:0")
until(origin_s + 0.65)
with profilers.window("cpu", meter="nvml:0") as first:
    until(origin_s + 1.15)
until(origin_s + 1.65)
with profilers.window("cpu", meter="nvml:0") as second:
    until(origin_s + 2.25)
with profilers.window("cpu", meter="nvml:0") as third:
    until(origin_s + 2.5)
whole.end()
print(json.dumps([told(one, origin_s, steps) for one in (first, second, third, whole)]))
"""
    for joules, low, high, true_j, warnings in on_the_standin(nvml_standin, code):
        assert joules == pytest.approx(true_j, rel=0.05)
        assert low - 0.01 * true_j <= true_j <= high + 0.01 * true_j
        assert high - low < 0.9 * true_j  # on a busy machine, the load and the windows begin late
        assert not [warning for warning in warnings if "instead" in warning or "faulty" in warning]


def test_beginning_and_ending_a_window_waits_for_no_tick(nvml_standin: Callable[..., dict[str, str]]) -> None:
    code = """
with profilers.window("cpu", meter="nvml:0"):
    times = [time.monotonic()]
    for _ in range(5):
        profilers.window("cpu", meter="nvml:0").end()
        times.append(time.monotonic())
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""
    assert min(on_the_standin(nvml_standin, code)) < 0.02


@pytest.mark.parametrize(
    ("fault", "seconds", "words"),
    [
        ("tick 30", 0.7, "energy by counter: no two ticks of the counter in a row were seen closely; power was integrated instead"),
        ("tick 30", 0.01, "energy by counter: no two ticks .*; energy by integrated power: a window of 0.\\d\\d s is too short"),
        ("fail nvmlDeviceGetTotalEnergyConsumption 3\nfail field:186:0 3\nfail field:83:0 3\nfail field:191:0 3", 0.01,
         "energy by counter: the meter has none; energy by integrated power: a window of 0.\\d\\d s is too short"),
    ],
    ids=["power instead", "neither", "no counter"],
)  # fmt: skip
def test_the_reasons_name_the_counter_and_the_power(
    nvml_standin: Callable[..., dict[str, str]], fault: str, seconds: float, words: str
) -> None:
    code = f"""
profilers.window.__globals__["_LONGEST_S"] = 0.8
load_from(time.monotonic() - 1, [(0, 200)], "" if "tick" in {fault!r} else {fault!r})
if "tick" not in {fault!r}:
    measured = profilers.window("cpu", meter="nvml:0")
else:
    measured = profilers.window("cpu", meter="nvml:0")
    load_from(time.monotonic() - 1, [(0, 200)], {fault!r})
until(measured.start_s + {seconds})
measured.end()
try:
    print(json.dumps([*measured.warnings, measured.joules / measured.seconds]))
except profilers.errors.ProfilerError as error:
    print(json.dumps([str(error), 200]))
"""
    *found, watts = on_the_standin(nvml_standin, code)
    assert watts == pytest.approx(200, rel=0.02)
    assert [one for one in found if re.search(words, one)], found
