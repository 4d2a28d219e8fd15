"""Run jobs in child processes, one per slot of a device; every job ends in an outcome, never in an error."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Survey
from profilers.machine.child import PREPARE_S, ChildProcess, DeviceSlot, Died
from profilers.machine.processor import cores

# Longest time for which a slot that fails to prepare holds on to its job, so that it cannot take jobs from
# others as fast as processes start; chosen by us.
_HOLD_S = 10.0
# Errors caused by the slot during a job: its data, its meter, its disk.
_WORLD = frozenset(("DataError", "ProfilerError", "EvolverError", "OSError"))


class ChildPool:
    """The children of one process. Without slots, one child per concurrent call, on the devices that the process sees."""

    def __init__(self, slots: Sequence[DeviceSlot] | None = None) -> None:
        self._grows = slots is None
        self._free = [ChildProcess(slot) for slot in slots or ()]
        self._all = list(self._free)
        self._alone: set[str] = set()  # devices reserved by a measurement, or about to be
        self._changed = threading.Condition()
        self._closed = threading.Event()

    @contextmanager
    def lend(self, *, alone: bool) -> Iterator[ChildProcess]:
        """Lend a free child; with alone, no other child on its device is in use meanwhile."""
        with self._changed:
            child = self._take(alone=alone)
        try:
            yield child
        finally:
            with self._changed:
                # a child that could not prepare comes last, so that the job is tried elsewhere first
                self._free.insert(0 if child.failures else len(self._free), child)
                if alone:
                    self._alone.discard(child.slot.device)
                self._changed.notify_all()

    def close(self) -> None:
        """Kill all children; calls waiting for one end as lost."""
        self._closed.set()
        with self._changed:
            for child in self._all:
                child.close()
            for child in self._free:
                child.kill()
            self._changed.notify_all()

    def hold(self, child: ChildProcess) -> None:
        """Keep a slot that cannot prepare away from jobs for a while, longer each time it fails."""
        self._closed.wait(min(_HOLD_S, 2.0 ** (child.failures - 1)))

    def _take(self, *, alone: bool) -> ChildProcess:
        while True:
            open_ = [child for child in self._free if child.slot.device not in self._alone]
            if not open_ and self._grows and not self._alone:
                open_ = [ChildProcess(DeviceSlot())]
                self._free += open_
                self._all += open_
            if open_:
                # the child used last has the data in its caches, and so the fewest children are started
                child = open_[-1]
                self._free.remove(child)
                break
            self._changed.wait()
        device = child.slot.device
        if alone:
            self._alone.add(device)
            while any(other is not child and other.slot.device == device and other not in self._free for other in self._all):
                self._changed.wait()
        return child


_bound = threading.local()
_default = ChildPool()


def local_executor(slots: Sequence[DeviceSlot]) -> tuple[ThreadPoolExecutor, ChildPool]:
    """Return an executor with one thread per slot, and the children in which its jobs run through `perform`."""
    children = ChildPool(slots)
    return ThreadPoolExecutor(len(slots), "slot", initializer=_bind, initargs=(children,)), children


def _bind(children: ChildPool) -> None:
    _bound.children = children


def perform(entry: str, job: Job, deadline_s: float) -> Outcome:
    """Run "module:function" on a job in a child process. Every executor calls this, on any machine; it never raises."""
    children: ChildPool = getattr(_bound, "children", _default)
    try:
        with children.lend(alone=job.task == "measure") as child:
            try:
                outcome = child.call(entry, (job,), deadline_s=deadline_s, prepare=job.settings)
            except Died:
                if child.failures:
                    children.hold(child)
                raise
    except Died as death:
        return _failed(death)
    return _checked(job, outcome)


def _failed(death: Died) -> Outcome:
    """Tell a fault of the slot, which is `lost` and names the slot, from one of the candidate."""
    if death.kind == "unready":
        return Outcome("lost", f"a worker could not start: {death}", notes={"place": socket.gethostname()})
    if death.kind != "error":
        return Outcome(death.kind, str(death))
    notes = {"unsaved": True} if "UnsavedError" in death.names else {}
    return Outcome("lost" if _WORLD.intersection(death.names) else "crash", str(death), notes=notes)


def look_up(entry: str, settings: str) -> Survey:
    """Run "module:function" on a settings text in a child process. Raises a one-line EvolverError."""
    children: ChildPool = getattr(_bound, "children", _default)
    try:
        with children.lend(alone=False) as child:
            survey = child.call(entry, (settings,), deadline_s=PREPARE_S)
    except Died as death:
        missing = "; training needs PyTorch: pip install 'ecosel[torch]'" if "ImportError" in death.names else ""
        raise EvolverError(f"{death}{missing}") from death
    if not isinstance(survey, Survey):
        raise EvolverError(f"{entry} returned {type(survey).__name__}, not a Survey")
    return survey


def outcome_of(future: Future[Outcome]) -> Outcome:
    """Return the outcome of a finished future; if its executor lost the job, return that as the outcome."""
    if future.cancelled():
        return Outcome("lost", "its executor cancelled it")
    error = future.exception()
    if error is not None:
        return Outcome("lost", f"its executor lost it ({type(error).__name__}: {' '.join(str(error).split())[:300]})")
    return future.result()


def _checked(job: Job, outcome: Any) -> Outcome:
    if not isinstance(outcome, Outcome):
        return Outcome("crash", f"returned {type(outcome).__name__}, not an Outcome")
    accuracy = outcome.accuracy
    if outcome.status == "ok" and job.task != "measure":
        if accuracy is None or not math.isfinite(accuracy):
            return Outcome("nan", f"its accuracy is {accuracy}")
        if not 0 <= accuracy <= 1:
            return Outcome("invalid", f"its accuracy is {accuracy}, which is not between 0 and 1")
    return outcome


def cpu_slots(count: int) -> list[DeviceSlot]:
    """Return slots that share the cores of this machine."""
    if count < 1:
        raise ValueError(f"{count} workers; there must be at least 1")
    memory = int(0.9 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return [DeviceSlot("cpu", max(1, cores() // count), memory)] * count
