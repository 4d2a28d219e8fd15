"""The thread that reads a meter, on real time with meters of this process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from profilers.energy.sampling.sampler import Sampler
from profilers.errors import MeterError
from profilers.meters.base import Capabilities, Conditions, Reading
from tests.conftest import ROOT, environment


class Source:
    """A meter whose readings a test gives, and which tells when enough were taken."""

    name = "test"
    scope = "nothing"

    def __init__(
        self,
        *,
        power_w: Callable[[int], float | None] = lambda count: 100.0,
        energy_j: Callable[[int], float | None] = lambda count: None,
        enough: int = 5,
    ) -> None:
        self.power_w = power_w
        self.energy_j = energy_j
        self.count = 0
        self.enough = enough
        self.done = threading.Event()

    def capabilities(self) -> Capabilities:
        return Capabilities(True, False, True)

    def read(self) -> Reading:
        now = time.monotonic()
        self.count += 1
        if self.count >= self.enough:
            self.done.set()
        return Reading(now, 1e-4, power_w=self.power_w(self.count), energy_j=self.energy_j(self.count))

    def conditions(self) -> Conditions:
        return Conditions(temperature_c=40.0, slowdowns=("power-cap",))

    def close(self) -> None:
        pass


def test_readings_come_at_absolute_deadlines_and_the_thread_is_gone_after() -> None:
    meter = Source(enough=40)
    before = set(threading.enumerate())
    with Sampler(meter, interval_s=0.01) as sampler:
        assert meter.done.wait(30)
        assert set(threading.enumerate()) > before
        trace = sampler.trace()
    assert set(threading.enumerate()) <= before
    # every reading lies at a multiple of the interval after the first, however late it was
    late = (trace.time_s[1:] - trace.time_s[0]) % 0.01
    assert np.median(late) < 0.005
    assert (np.diff(trace.time_s) > 0).all()
    assert trace.slowdowns[0] == "power-cap"
    assert trace.temperature_c[0] == 40


def test_more_readings_than_were_foreseen_are_all_kept() -> None:
    meter = Source(power_w=lambda count: float(count))
    with Sampler(meter, interval_s=10.0) as sampler:
        for _ in range(2500):
            sampler.read()
        trace = sampler.trace()
    assert trace.power_w.tolist() == list(range(1, 2502))
    assert trace.edge.tolist() == [False] + [True] * 2500


def test_a_power_that_cannot_be_is_dropped_and_named() -> None:
    bad = {2: 0.0, 3: float("nan"), 4: -5.0, 5: float("inf")}
    meter = Source(power_w=lambda count: bad.get(count, 100.0))
    with Sampler(meter, interval_s=10.0) as sampler:
        for _ in range(5):
            sampler.read()
        trace = sampler.trace()
    assert np.isnan(trace.power_w).tolist() == [False, True, True, True, True, False]
    assert len(trace.warnings) == 4
    assert "power of 0.0 W was read and is ignored (1 of 6 readings)" in trace.warnings


def test_a_counter_that_runs_backwards_is_dropped_and_named() -> None:
    counts = [10.0, 11.0, 5.0, 12.0]
    meter = Source(energy_j=lambda count: counts[count - 1])
    with Sampler(meter, interval_s=10.0) as sampler:
        for _ in range(3):
            sampler.read()
        trace = sampler.trace()
    assert np.isnan(trace.energy_j).tolist() == [False, False, True, False]
    assert trace.warnings == ("the energy counter ran backwards and is ignored there (1 of 4 readings)",)


def test_a_meter_that_fails_leaves_a_gap_and_a_warning() -> None:
    meter = Source()

    def fail(count: int) -> float:
        if count == 2:
            raise MeterError("GPU is lost (nvmlDeviceGetFieldValues)")
        return 100.0

    meter.power_w = fail
    with Sampler(meter, interval_s=10.0) as sampler:
        assert sampler.read() is None
        assert sampler.read() is not None
        trace = sampler.trace()
    assert np.isnan(trace.power_w).tolist() == [False, True, False]
    assert trace.warnings == ("GPU is lost (nvmlDeviceGetFieldValues) (1 of 3 readings)",)


def test_a_tick_is_awaited_and_its_absence_is_not_endless() -> None:
    meter = Source(energy_j=lambda count: 1.0 if count < 6 else 2.0)
    with Sampler(meter, interval_s=10.0) as sampler:
        assert sampler.await_tick(timeout_s=30)
        assert meter.count == 6
        assert not sampler.await_tick(timeout_s=0.01)
    with Sampler(Source(), interval_s=10.0) as without:
        assert not without.await_tick(timeout_s=30)


def test_two_ticks_are_watched_in_the_background_and_equal_readings_between_are_dropped() -> None:
    """The counter ticks at every twentieth reading; the sampler reads densely until five ticks were seen, then until two were."""
    meter = Source(energy_j=lambda count: float(count // 20), enough=100)
    with Sampler(meter, interval_s=10.0) as sampler:
        start_s = sampler.now()
        sampler.watch_ticks(start_s)
        assert meter.done.wait(30) or sampler.seen_ticks(start_s)
        assert sampler.seen_ticks(start_s)
        assert not sampler.seen_ticks(sampler.now())
        trace = sampler.trace()
    times, joules = trace.series("energy_j")
    ticks = np.flatnonzero(np.diff(joules)) + 1
    assert len(ticks) >= 2
    assert len(times) <= 3 * (len(ticks) + 2)  # of each value, the first two readings and the last
    assert (np.diff(joules) <= 1).all()
    assert trace.edge.tolist() == [False] + [True] * (len(times) - 1)


def test_without_ticks_the_dense_readings_end() -> None:
    meter = Source(energy_j=lambda count: 1.0)
    with Sampler(meter, interval_s=10.0) as sampler:
        sampler.watch_ticks(sampler.now() - 60)
        sampler.wait(0.01)
        assert not sampler.seen_ticks(0.0)
        assert meter.count <= 2


def test_the_thread_ends_where_the_body_raises() -> None:
    def fail() -> None:
        with Sampler(Source(), interval_s=0.01):
            raise RuntimeError("out")

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="out"):
        fail()
    assert set(threading.enumerate()) <= before


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sampler(Source(), interval_s=0)


def test_a_sampler_that_was_left_is_not_kept_in_memory() -> None:
    with Sampler(Source(), interval_s=10.0) as sampler:
        pass
    gone = weakref.ref(sampler)
    del sampler
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_samples_anew() -> None:
    code = """
import os, sys
from tests.profilers.energy.sampling.test_sampler import Source
from profilers.energy.sampling.sampler import Sampler
meter = Source(enough=10)
with Sampler(meter, interval_s=0.01) as sampler:
    assert meter.done.wait(30)
    meter.count = 0; meter.done.clear()
    child = os.fork()
    if child == 0:
        ok = len(sampler.trace()) == 0 and meter.done.wait(30) and len(sampler.trace()) >= 9
        os._exit(0 if ok else 3)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_an_abandoned_thread_does_not_keep_the_interpreter_alive() -> None:
    code = """
from tests.profilers.energy.sampling.test_sampler import Source
from profilers.energy.sampling.sampler import Sampler
Sampler(Source(), interval_s=0.01).__enter__()
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=True, timeout=30)
