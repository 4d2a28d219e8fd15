"""The share of processor time that a process wanted and others had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from profilers.machine.processor import ProcessorTime, load_of_others, lost_share, processor_time


def written(proc: Path, threads: dict[int, tuple[int, int]], *, stolen: int = 0, user: int = 0) -> ProcessorTime:
    """Read a /proc of these threads (nanoseconds running, waiting) and these ticks of the machine."""
    for number, (ran, waited) in threads.items():
        task = proc / "self/task" / str(number)
        task.mkdir(parents=True, exist_ok=True)
        (task / "schedstat").write_text(f"{ran} {waited} 7\n")
    (proc / "stat").write_text(f"cpu {user} 0 0 900 0 0 0 {stolen} 0 0\ncpu0 0\n")
    (proc / "self/cgroup").write_text("0::/box\n")
    read = processor_time(proc=proc, cgroups=proc / "cgroups")
    assert read is not None
    return read


def test_waiting_for_a_processor_is_lost_time_of_all_threads(tmp_path: Path) -> None:
    before = written(tmp_path, {1: (10**9, 0), 2: (0, 0)})
    after = written(tmp_path, {1: (2 * 10**9, 10**9), 2: (10**9, 0), 3: (10**9, 0)})
    assert lost_share(before, after) == pytest.approx(1 / 4)
    assert lost_share(after, after) is None
    assert lost_share(None, after) is None


def test_time_that_the_host_steals_counts(tmp_path: Path) -> None:
    before = written(tmp_path, {1: (0, 0)})
    ticks = os.sysconf("SC_CLK_TCK")
    after = written(tmp_path, {1: (10**9, 0)}, user=3 * ticks, stolen=1 * ticks)
    assert lost_share(before, after) == pytest.approx(1 / 4)


def test_time_that_a_quota_holds_back_counts(tmp_path: Path) -> None:
    (tmp_path / "cgroups/box").mkdir(parents=True)
    (tmp_path / "cgroups/box/cpu.stat").write_text("usage_usec 5\nthrottled_usec 0\n")
    before = written(tmp_path, {1: (0, 0)})
    (tmp_path / "cgroups/box/cpu.stat").write_text("usage_usec 5\nthrottled_usec 3000000\n")
    assert lost_share(before, written(tmp_path, {1: (10**9, 0)})) == pytest.approx(3 / 4)


def test_a_system_that_does_not_tell_gives_no_number(tmp_path: Path) -> None:
    assert processor_time(proc=tmp_path) is None
    (tmp_path / "self/task/1").mkdir(parents=True)
    assert processor_time(proc=tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not tell")
def test_this_process_is_seen_to_run() -> None:
    before = processor_time()
    sum(range(300_000))
    share = lost_share(before, processor_time())
    assert share is not None
    assert 0 <= share < 1


def test_the_frequency_of_the_processors_is_reported_if_the_system_gives_it(tmp_path: Path) -> None:
    assert "GHz" not in load_of_others(cpus=tmp_path)
    for number, kilohertz in enumerate((800_000, 3_400_000)):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{kilohertz}\n")
    assert load_of_others(cpus=tmp_path).endswith(" processors at 0.8 to 3.4 GHz")
