"""The loop of a search: births to workers, outcomes to the archive, until a budget is spent; resumed from the archive."""

from __future__ import annotations

import platform
import queue
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from ecosel import __version__
from evolver.archive import Archive
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Settings, Task
from evolver.run.request import SearchRequest
from evolver.search.run_state import RunState
from evolver.workers.executors import Engine
from evolver.workers.pool import outcome_of, perform

# A job that its executor or its machine lost is run again so often in all; ours.
_TRIES = 3
_TICK_S = 0.25
_ASK_CAPACITY_S = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is."""

    phase: str  # "search", "measure", "final", "finishing"
    births: int
    finished: int
    running: int
    waiting: int  # to be measured or finished, beside those that run
    rate_per_s: float  # finished births of this command, while it searched
    best: tuple[float, int] | None  # accuracy, birth
    front: int
    statuses: Mapping[str, int]
    devices: tuple[str, ...]
    elapsed_s: float
    left_s: float | None
    joules: float | None
    resumed: int  # births that the archive held before


class JouleMeter(Protocol):
    """Energy since it was opened, in joules."""

    def joules(self) -> float: ...


_Order = tuple[int, Task, int]  # birth, task, which try


@dataclass
class Loop:
    """One command's part of a run."""

    request: SearchRequest
    module: str
    engine: Engine
    archive: Archive
    course: RunState
    settings: Settings
    watch: Callable[[Progress], None] = lambda progress: None
    meter: JouleMeter | None = None
    clock: Callable[[], float] = time.monotonic
    ended: str = ""
    _interrupted: bool = False
    _running: dict[tuple[int, Task], int] = field(default_factory=dict)  # value: which try
    _done: queue.SimpleQueue[tuple[int, Task, Future[Outcome]] | None] = field(default_factory=queue.SimpleQueue)
    _phase: str = "search"
    _finished: int = 0
    _joules: float | None = None
    _searched_s: float | None = None

    def __post_init__(self) -> None:
        self._began = self._watched = self.clock()
        self._settings_text = self.settings.to_json()
        self._resumed = self.course.search.births
        self._capacity = (0, -_ASK_CAPACITY_S)
        self._devices = self.engine.devices()

    def run(self) -> None:
        """Search, then measure and finish what was asked for; `ended` says why it ended."""
        session = self.archive.start_session(self._provenance())
        try:
            with _interrupts(self._interrupt):
                self._until_done(self._search_jobs)
                self._closing()
        except BaseException as error:
            self.ended = "stopped" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
            raise
        finally:
            # a full disk must not hide what went wrong
            try:
                self.archive.end_session(session, self.ended, joules=self._joules)
            except EvolverError:
                if sys.exc_info()[0] is None:
                    raise

    def progress(self) -> Progress:
        elapsed = self.clock() - self._began
        finished = self.course.statuses.total()
        searched = elapsed if self._searched_s is None else self._searched_s
        rate = self._finished / searched if searched > 0 else 0.0
        waiting = sum(job not in self._running for job in self.course.waiting)
        return Progress(
            self._phase, self.course.search.births, finished, len(self._running), waiting, rate, self.course.best,
            len(self.course.front), Counter(self.course.statuses), self._devices, elapsed,
            self._left_s(elapsed, rate, finished), self._joules, self._resumed,
        )  # fmt: skip

    def _closing(self) -> None:
        """Measure the candidates near the front, then train the best once more, test and save them."""
        self._searched_s = self.clock() - self._began
        if self.request.measure != "none" and not self._interrupted:
            self._phase = "measure"
            self._want(self.course.near_front if self.request.measure == "front" else (), "measure")
        if self.request.final and not self._interrupted:
            self._phase = "final"
            self._want(self.course.front[: self.request.final], "final")

    def _want(self, numbers: Sequence[int], task: Task) -> None:
        for birth in self.archive.births_without(numbers, task):
            self.course.want(birth, task)
        self._until_done(lambda room: self._waiting(room, task))

    def _until_done(self, jobs: Callable[[int], Iterator[_Order]]) -> None:
        """Keep the workers busy with jobs until none comes and none runs; interrupted, until none runs."""
        while True:
            # one commit for what came and what is born from it, before any of that is submitted
            with self.archive.together():
                again = self._take_in() if self._running or self._room() <= 0 else []
                chosen = [] if self._interrupted else [*again, *jobs(self._room())]
            for number, task, _ in again if not chosen else ():
                del self._running[number, task]
            for number, task, attempt in chosen:
                self._submit(number, task, attempt)
            if not self._running and (self._interrupted or self._capacity[0] > 0):
                return
            if self.clock() - self._watched >= _TICK_S:
                self._watched = self.clock()
                self._joules = self.meter.joules() if self.meter else None
                self.watch(self.progress())

    def _search_jobs(self, room: int) -> Iterator[_Order]:
        """Yield what was begun, then new births until a budget is spent."""
        limit = self.request.budget.time_s
        if limit is not None and self.clock() - self._began >= limit:
            self.ended = self.ended or f"{limit:g} s"
            return
        begun = list(self._waiting(room, "train", "measure"))
        yield from begun
        for _ in range(room - len(begun)):
            birth = self._next_birth()
            if birth is None:
                return
            yield birth, "train", 1

    def _next_birth(self) -> int | None:
        budget = self.request.budget
        if budget.births is not None and self.course.search.births >= budget.births:
            self.ended = f"{budget.births} births"
        elif budget.joules is not None and self._joules is not None and self._joules >= budget.joules:
            self.ended = f"{budget.joules:g} J"
        if self.ended:
            return None
        birth = self.course.ask()
        if birth is None:
            self.ended = "every architecture that was drawn had been tried"
            return None
        self.archive.save_birth(birth)
        return birth.number

    def _waiting(self, room: int, *tasks: Task) -> Iterator[_Order]:
        if len(self.course.waiting) > len(self._running):
            idle = [job for job in self.course.waiting if job not in self._running and job[1] in tasks]
            yield from ((number, task, 1) for number, task in idle[: max(0, room)])

    def _submit(self, number: int, task: Task, attempt: int) -> None:
        birth = self.course.birth(number)
        # a cluster's worker stands in another folder
        export = str(self.request.exported(number).absolute()) if task == "final" else None
        rungs = self.course.rungs(birth) if task == "train" else ()
        job = Job(task, number, birth.genome, birth.seed, self._settings_text, rungs, export)
        self._running[number, task] = attempt
        try:
            future = self.engine.executor.submit(perform, f"{self.module}:evaluate", job, self.request.deadline_s)
        except RuntimeError as error:
            raise EvolverError(
                f"{self.engine.name} takes no more work ({error}); all that was finished is kept: give the same command again"
            ) from error
        future.add_done_callback(lambda future: self._done.put((number, task, future)))

    def _take_in(self) -> list[_Order]:
        """Wait a moment for outcomes, and keep all that have come; return what is to be run again."""
        again = []
        wait_s = _TICK_S
        with suppress(queue.Empty):
            while True:
                item = self._done.get(timeout=wait_s)
                wait_s = 0.0
                again += self._keep(*item) if item is not None else []
        return again

    def _keep(self, number: int, task: Task, future: Future[Outcome]) -> list[_Order]:
        attempt = self._running.pop((number, task))
        outcome = outcome_of(future)
        if outcome.status == "lost" and (attempt < _TRIES or self._interrupted):
            self._running[number, task] = attempt + 1  # it keeps its place: as one that waits it would be submitted twice
            return [(number, task, attempt + 1)]
        if self.archive.save_outcome(number, task, outcome):
            self.course.tell(number, task, outcome)
            self._finished += task == "train"
        return []

    def _room(self) -> int:
        capacity, asked = self._capacity
        if self.clock() - asked >= _ASK_CAPACITY_S:
            capacity = self.engine.capacity()
            self._capacity, self._devices = (capacity, self.clock()), self.engine.devices()
        return capacity - len(self._running)

    def _interrupt(self) -> None:
        self._interrupted = True
        self.ended = "interrupted"
        self._phase = "finishing"
        self._done.put(None)

    def _left_s(self, elapsed: float, rate: float, finished: int) -> float | None:
        budget, left = self.request.budget, []
        if budget.time_s is not None:
            left.append(max(0.0, budget.time_s - elapsed))
        if budget.births is not None and rate > 0:
            left.append(max(0, budget.births - finished) / rate)
        return min(left) if left and self._phase == "search" else None

    def _provenance(self) -> dict[str, Any]:
        return {
            "command": self.request.command,
            "executor": self.engine.name,
            "devices": list(self._devices),
            "host": platform.node(),
            "platform": platform.platform(),
            "versions": {
                "ecosel": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "sqlite": sqlite3.sqlite_version,
            },
            "budget": asdict(self.request.budget),
            "births": self._resumed,
        }


@contextmanager
def _interrupts(first: Callable[[], None]) -> Iterator[None]:
    """Call first at the first Ctrl-C or SIGTERM; the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def tell(number: int, frame: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        first()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
