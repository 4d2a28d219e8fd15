"""Run the loop of a search: births to workers, outcomes to the archive, until a budget is spent; resumable."""

from __future__ import annotations

import math
import queue
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from evolver.archive import SearchArchive
from evolver.errors import EvolverError
from evolver.jobs import AGAIN, Job, Outcome, Settings, Task
from evolver.run.interrupts import interrupts
from evolver.run.progress import SearchProgress
from evolver.run.request import SearchRequest, provenance
from evolver.run.winners.kept_weights import KeptWeights
from evolver.search.run_state import RunState
from evolver.workers.executors import Engine
from evolver.workers.pool import outcome_of, perform

# Number of attempts for a job that its executor or machine lost; chosen by us. A job that a worker could not begin is not
# a candidate's fault, and is retried until other jobs finish, or none does.
_TRIES = 3
# This many consecutive lost jobs per concurrent job, or this many crashes without another outcome, end the run; our choice.
_LOST_IN_A_ROW, _CRASHES_IN_A_ROW = 3, 20
# Rounds of searching for the best among new means, or among those whose last training succeeds; and the distance between
# the seeds of later trainings; chosen by us.
_ROUNDS, _AGAIN_SEED = 3, 1_000_003
_TICK_S = 0.25
_ASK_CAPACITY_S = 2.0


class JouleMeter(Protocol):
    """Return the energy since it was opened, in joules."""

    def joules(self) -> float: ...


_Order = tuple[int, Task, int]  # birth, task, number of the attempt


@dataclass
class Loop:
    """One command's part of a run."""

    request: SearchRequest
    module: str
    engine: Engine
    archive: SearchArchive
    course: RunState
    settings: Settings
    watch: Callable[[SearchProgress], None] = lambda progress: None
    meter: JouleMeter | None = None
    clock: Callable[[], float] = time.monotonic
    ended: str = ""
    interrupted_by: signal.Signals | None = None
    _faults: int = 0  # consecutive lost or crashed jobs
    _running: dict[tuple[int, Task], int] = field(default_factory=dict)  # value: number of the attempt
    _done: queue.SimpleQueue[tuple[int, Task, Future[Outcome]] | None] = field(default_factory=queue.SimpleQueue)
    _phase: str = "search"
    done: Counter[Task] = field(default_factory=Counter)  # jobs in this command
    saved: set[int] = field(default_factory=set)  # winners saved by this command
    _joules: float | None = None
    _searched_s: float | None = None

    def __post_init__(self) -> None:
        self._began = self._watched = self.clock()
        self._settings_text = self.settings.to_json()
        self._resumed = self.course.search.births
        self._weights = KeptWeights(self.request.archive)
        self._capacity = (0, -_ASK_CAPACITY_S)
        with self._engine_asked():
            self._devices = self.engine.devices()

    def run(self) -> None:
        """Search, then measure and finish as requested; `ended` tells why it ended."""
        session = self.archive.start_session(provenance(self.request, self.engine.name, self._devices, births=self._resumed))
        self._weights.open()
        try:
            with interrupts(self._interrupt):
                self._until_done(self._search_jobs)
                self._closing()
        except BaseException as error:
            self.ended = f"failed: {error}" if isinstance(error, Exception) else "stopped"
            raise
        finally:
            self._weights.close()
            # a full disk must not hide what went wrong
            try:
                self.archive.end_session(session, self.ended, joules=self._joules)
            except EvolverError:
                if sys.exc_info()[0] is None:
                    raise

    def progress(self) -> SearchProgress:
        elapsed = self.clock() - self._began
        finished = self.course.statuses.total()
        searched = elapsed if self._searched_s is None else self._searched_s
        rate = self.done["train"] / searched if searched > 0 else 0.0
        waiting = sum(job not in self._running for job in self.course.waiting)
        trained = self._phase == "search" and self.course.search.births >= (self.request.budget.births or math.inf)
        only_measures = bool(self.course.waiting) and all(task == "measure" for _, task in self.course.waiting)
        return SearchProgress(
            "measure" if trained and only_measures else self._phase, self.course.search.births, self.request.budget.births,
            finished, len(self._running), waiting, rate, self.course.best, len(self.course.front), Counter(self.course.statuses),
            self._devices, elapsed, self._left_s(elapsed, rate, finished), self._joules, self._resumed,
        )  # fmt: skip

    def _closing(self) -> None:
        """Re-estimate the best, measure the candidates near the front, then retrain the best, test and save them."""
        self._searched_s = self.clock() - self._began
        self._confirm()
        if self.request.measure != "none" and not self.interrupted_by:
            self._phase = "measure"
            self._weights.prune(self.course.near_front, running=lambda birth: False)
            # the front first, as a signal may end this phase early
            near = dict.fromkeys((*self.course.front, *self.course.near_front))
            self._want(tuple(near) if self.request.measure == "front" else (), "measure")
        if self.request.final and not self.interrupted_by:
            self._phase = "final"
            self._finish(self.request.final)

    def _confirm(self) -> None:
        """Retrain the best, and those that replace them, until all of the best have been trained several times."""
        for _ in range(_ROUNDS):
            doubtful = self.course.doubtful(self.request.confirm)
            if self.interrupted_by or not doubtful:
                return
            self._phase = "confirm"
            self._want(doubtful, *AGAIN)

    def _finish(self, count: int) -> None:
        """Train the best once more; if that fails for some, the next best replace them, for a few rounds."""
        for _ in range(_ROUNDS):
            failed = sum(outcome.status != "ok" for outcome in self.course.finals.values())
            self._want(self.course.winners(count + failed), "final")

    def _want(self, numbers: Sequence[int], *tasks: Task) -> None:
        """Do tasks for births, in the order given."""
        for task in tasks:
            for birth in sorted(self.archive.births_without(numbers, task), key=lambda birth: numbers.index(birth.number)):
                self.course.want(birth, task)
        self._until_done(lambda room: self._waiting(room, *tasks))

    def _until_done(self, jobs: Callable[[int], Iterator[_Order]]) -> None:
        """Keep the workers busy until no job is left or running; if interrupted, until none is running."""
        while True:
            # one commit for outcomes and the births that follow, before any of these are submitted
            with self.archive.together():
                again = self._take_in() if self._running or self._room() <= 0 else []
                chosen = [] if self.interrupted_by else [*again, *jobs(self._room())]
            for number, task, _ in again if not chosen else ():
                del self._running[number, task]
            for number, task, attempt in chosen:
                self._submit(number, task, attempt)
            if not self._running and (self.interrupted_by or self._capacity[0] > 0):
                return
            if self.clock() - self._watched >= _TICK_S:
                self._watched = self.clock()
                self._joules = self.meter.joules() if self.meter else None
                self.watch(self.progress())

    def _search_jobs(self, room: int) -> Iterator[_Order]:
        """Yield the unfinished births, then new ones until a budget is spent."""
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
        if not self.course.ready:
            return None
        birth = self.course.ask()
        if birth is None:
            self.ended = "every architecture drawn had already been tried"
            return None
        self.archive.save_birth(birth)
        return birth.number

    def _waiting(self, room: int, *tasks: Task) -> Iterator[_Order]:
        if len(self.course.waiting) > len(self._running):
            idle = [job for job in self.course.waiting if job not in self._running and job[1] in tasks]
            yield from ((number, task, 1) for number, task in idle[: max(0, room)])

    def _submit(self, number: int, task: Task, attempt: int) -> None:
        birth = self.course.birth(number)
        # a cluster's worker runs in another folder
        export = str(self.request.exported(number).absolute()) if task == "final" else None
        rungs, weights, keep_from = self.course.rungs(birth) if task == "train" else (), None, 0.0
        if task in ("train", "measure"):
            weights, keep_from = self._weights.path(number), self.course.keep_from(birth) if task == "train" else 0.0
        seed = (birth.seed + _AGAIN_SEED * (AGAIN.index(task) + 1)) % 2**31 if task in AGAIN else birth.seed
        job = Job(task, number, birth.genome, seed, self._settings_text, rungs, export, weights, keep_from)
        self._running[number, task] = attempt
        with self._engine_asked():
            future = self.engine.executor.submit(perform, f"{self.module}:evaluate", job, self.request.deadline_s)
        future.add_done_callback(lambda future: self._done.put((number, task, future)))

    def _take_in(self) -> list[_Order]:
        """Wait briefly for outcomes, and save all that have arrived; return the jobs to run again."""
        again, wait_s = list[_Order](), _TICK_S
        with suppress(queue.Empty):
            while True:
                item = self._done.get(timeout=wait_s)
                wait_s = 0.0
                again += self._keep(*item) if item is not None else []
        return again

    def _keep(self, number: int, task: Task, future: Future[Outcome]) -> list[_Order]:
        attempt = self._running.pop((number, task))
        outcome = outcome_of(future)
        if "unsaved" in outcome.notes:  # trained well; it is finished once there is room
            raise EvolverError(f"{outcome.reason}; finished work is kept: free some space and run the same command again")
        self._see_faults(outcome)
        unready = "place" in outcome.notes
        if outcome.status == "lost" and (unready or attempt < _TRIES or self.interrupted_by):
            attempt += not unready
            self._running[number, task] = attempt  # it keeps its place; among the waiting jobs, it would be submitted twice
            return [(number, task, attempt)]
        if self.archive.save_outcome(number, task, outcome):
            self.course.tell(number, task, outcome)
            self._note(number, task, outcome)
        return []

    def _note(self, number: int, task: Task, outcome: Outcome) -> None:
        """Save the consequences of an outcome."""
        self.done[task] += 1
        if task == "train":
            if outcome.notes.get("weights") == "kept":
                self._weights.prune(self.course.near_front, running=lambda birth: (birth, "train") in self._running)
        elif task in AGAIN and number in self.course.reestimates:
            self.archive.save_reestimate(number, self.course.reestimates[number])
        elif task == "final" and outcome.status == "ok":
            self.saved.add(number)

    def _see_faults(self, outcome: Outcome) -> None:
        """End a run that no longer makes progress, as the candidates cannot be at fault."""
        self._faults = self._faults + 1 if outcome.status in ("lost", "crash") else 0
        most = _LOST_IN_A_ROW * max(1, self._capacity[0])
        most = most if outcome.status == "lost" else max(most, _CRASHES_IN_A_ROW)
        if self._faults >= most and not self.interrupted_by:
            where = f" on {outcome.notes['place']}" if "place" in outcome.notes and not self.engine.places else ""
            raise EvolverError(
                f"{self._faults} jobs in a row failed, the last one{where}: {outcome.reason}; "
                "finished work is kept: fix this and run the same command again"
            )

    def _room(self) -> int:
        capacity, asked = self._capacity
        if self.clock() - asked >= _ASK_CAPACITY_S:
            with self._engine_asked():
                capacity, self._devices = self.engine.capacity(), self.engine.devices()
            self._capacity = capacity, self.clock()
        return capacity - len(self._running)

    @contextmanager
    def _engine_asked(self) -> Iterator[None]:
        """Turn the errors of an engine that has disappeared into one line; each engine has its own errors."""
        try:
            yield
        except Exception as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise EvolverError(
                f"{self.engine.name} takes no more work ({said}); finished work is kept: run the same command again"
            ) from error

    def _interrupt(self, number: int) -> None:
        self.interrupted_by = signal.Signals(number)
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
