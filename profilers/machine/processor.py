"""Read how long this process ran and how long it waited for a processor; two readings give the share it did not get."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds since the start: of each thread, running and waiting for a processor; held back by a quota; of the machine's
    processors, stolen by the host of a virtual machine, and all."""

    threads: Mapping[int, tuple[float, float]]
    held_s: float = 0.0
    stolen_s: float = 0.0
    machine_s: float = 0.0


def processor_time(*, proc: Path = _PROC, cgroups: Path = Path("/sys/fs/cgroup")) -> ProcessorTime | None:
    """Read the times; None if the system does not report them (only Linux does)."""
    threads = {}
    try:
        for task in (proc / "self/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
                ran, waited, *_ = (task / "schedstat").read_text().split()
                threads[int(task.name)] = (int(ran) / 1e9, int(waited) / 1e9)
    except (OSError, ValueError):
        return None
    if not threads:
        return None
    stolen_s, machine_s = _machine(proc)
    return ProcessorTime(threads, _held(proc, cgroups), stolen_s, machine_s)


def lost_share(before: ProcessorTime | None, after: ProcessorTime | None, /) -> float | None:
    """Return the share of the processor time needed between two readings that others got; None if unknown."""
    if before is None or after is None:
        return None
    ran_s = waited_s = 0.0
    for thread, (ran, waited) in after.threads.items():
        ran_before, waited_before = before.threads.get(thread, (0.0, 0.0))
        ran_s += ran - ran_before
        waited_s += waited - waited_before
    # time taken by the host of a virtual machine counts as running here
    machine_s = after.machine_s - before.machine_s
    stolen_s = ran_s * (after.stolen_s - before.stolen_s) / machine_s if machine_s > 0 else 0.0
    lost_s = waited_s + stolen_s + after.held_s - before.held_s
    wanted_s = ran_s + waited_s + after.held_s - before.held_s
    return min(1.0, max(0.0, lost_s / wanted_s)) if wanted_s > 0 else None


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_of_others(*, cpus: Path = Path("/sys/devices/system/cpu")) -> str:
    """Describe how busy the machine is: its load, its processors, and their clock frequency."""
    try:
        words = f"a load of {os.getloadavg()[0]:.1f} on {cores()} processors"
    except OSError:
        return "load unknown"
    with suppress(OSError, ValueError):
        told = [int(file.read_text()) / 1e6 for file in cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
        words += f" at {min(told):.1f} to {max(told):.1f} GHz"
    return words


def _machine(proc: Path) -> tuple[float, float]:
    """Return (stolen, all) seconds of the machine's processors; idle time does not count as lost."""
    with suppress(OSError, ValueError, IndexError):
        times = [int(word) / _TICKS for word in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _, _, interrupts, soft_interrupts, stolen = times
        return stolen, user + nice + system + interrupts + soft_interrupts + stolen
    return 0.0, 0.0


def _held(proc: Path, cgroups: Path) -> float:
    """Return the seconds during which the container's quota held the process back."""
    with suppress(OSError, ValueError, StopIteration):
        group = next(line for line in (proc / "self/cgroup").read_text().splitlines() if line.startswith("0::"))[3:]
        lines = (cgroups / group.lstrip("/") / "cpu.stat").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("throttled_usec ")).split()[1]) / 1e6
    return 0.0
