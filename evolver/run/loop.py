"""The loop of a search: births to workers, outcomes to the archive, until a budget is spent; resumed from the archive."""

from __future__ import annotations

import json
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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ecosel import __version__
from evolver.archive import Archive
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Settings, Survey, Task
from evolver.search.optimizer import Plan, Problem
from evolver.search.run_state import ENERGY, Course, Measure
from evolver.workers.executors import Engine
from evolver.workers.pool import look_up, outcome_of, perform

# A job that its executor or its machine lost is run again so often in all; ours.
_TRIES = 3
_TICK_S = 0.25
_ASK_CAPACITY_S = 2.0


class Genomes(Problem[str], Protocol):
    """A problem whose genomes are JSON text."""

    def adopted(self, genome: str, /) -> str:
        """Return a genome from elsewhere as one of this problem. Raises ValueError where it is none."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is searched and who does it: genomes of a space, and the module whose functions the workers call."""

    module: str
    genomes: Callable[[Mapping[str, Any]], Genomes]
    space: Callable[[Survey, Settings], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop; None is no limit. births are those of the archive, time_s is that of this command."""

    births: int | None = None
    time_s: float | None = None
    joules: float | None = None

    def __post_init__(self) -> None:
        for name in ("births", "time_s", "joules"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; a budget must be above 0")


@dataclass(frozen=True, slots=True)
class Request:
    """All that a user asks of a search."""

    archive: Path
    settings: Settings
    plan: Plan
    budget: Budget = field(default_factory=Budget)
    measure: Measure = "front"
    stops: bool = True
    deadline_s: float = 600.0
    start: tuple[str, ...] = ()  # genomes
    final: int = 0  # how many of the best are trained once more, tested and saved
    command: str = ""

    def __post_init__(self) -> None:
        if not self.deadline_s > 0:
            raise ValueError(f"the deadline of a candidate is {self.deadline_s:g} s; it must be above 0")

    def exported(self, birth: int) -> Path:
        """Return the path, without its extension, that a winner is saved to."""
        return self.archive.with_name(f"{self.archive.stem}-{birth}")

    @property
    def fixed(self) -> dict[str, Any]:
        """Return what must not change while an archive grows."""
        plan = asdict(self.plan)
        settings = {name: value for name, value in asdict(self.settings).items() if name != "space"}
        return {**settings, "plan": plan, "measure": self.measure, "stops": self.stops}


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


def surveyed(request: Request, work: Work, engine: Engine) -> tuple[Survey, Settings]:
    """Have a worker look at the data set; return what it found, and the settings of all jobs. Raises EvolverError."""
    survey = engine.executor.submit(look_up, f"{work.module}:survey", request.settings.to_json()).result()
    if survey.no_energy is not None and ENERGY in request.plan.columns:
        raise EvolverError(f"{ENERGY} cannot be measured: {survey.no_energy}")
    return survey, replace(request.settings, space=work.space(survey, request.settings))


def begun(request: Request, work: Work, engine: Engine, archive: Archive) -> tuple[Course, Settings]:
    """Begin the run of a new archive. Raises EvolverError where the data set or a genome to start from is of no use."""
    survey, settings = surveyed(request, work, engine)
    course = _course(request, work, settings, request.start)
    record = {**request.fixed, "start": list(request.start), "space": settings.space, "survey": asdict(survey)}
    archive.begin(record, dataset=survey.dataset)
    return course, settings


def resumed(request: Request, work: Work, held: Mapping[str, Any], archive: Archive) -> tuple[Course, Settings]:
    """Take up the run that an archive holds. Raises EvolverError where it was begun otherwise than is asked for."""
    before, now = ({**fixed, **fixed["plan"]} for fixed in (held, json.loads(json.dumps(request.fixed))))
    for name in now:
        if name != "plan" and before.get(name) != now[name]:
            raise EvolverError(
                f"{request.archive} was begun with {name} = {json.dumps(before.get(name))}, not {json.dumps(now[name])}; "
                "give the same again, or name another --archive"
            )
    settings = replace(request.settings, space=held["space"])
    course = _course(request, work, settings, held["start"])
    for birth in archive.births():
        course.born(birth)
    for number, task, outcome in archive.outcomes():
        course.heard(number, task, outcome)
    return course, settings


def _course(request: Request, work: Work, settings: Settings, start: Sequence[str]) -> Course:
    genomes = work.genomes(settings.space or {})
    try:
        adopted = tuple(genomes.adopted(genome) for genome in start)
    except ValueError as error:
        raise EvolverError(f"--start: {error}") from error
    return Course(genomes, request.plan, request.measure, request.stops, settings.max_epochs, adopted)


_Order = tuple[int, Task, int]  # birth, task, which try


@dataclass
class Loop:
    """One command's part of a run."""

    request: Request
    module: str
    engine: Engine
    archive: Archive
    course: Course
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
            self.course.heard(number, task, outcome)
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

    def heard(number: int, frame: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        first()

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
