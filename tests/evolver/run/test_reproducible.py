"""The same archive with any number of workers; the best estimated anew; weights kept and removed."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecosel.objectives import ACCURACY, Objective
from evolver.archive import SearchArchive
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome
from evolver.run import loop as loop_module
from evolver.run import session
from evolver.run.loop import Loop
from evolver.run.request import Budget, SearchRequest, begun, resumed
from evolver.run.session import as_text
from evolver.run.winners.kept_weights import KeptWeights
from evolver.search.optimizer import SearchSettings
from evolver.workers.executors import Engine, local_slots
from evolver.workers.pool import look_up
from tests.evolver.toy import WORK, evaluate, request, survey

LAGGING = SearchSettings(population=8, lifetime=40, lag=4)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop wait for no outcome: the executor here finishes a job only when the loop asks for room."""
    monkeypatch.setattr(loop_module, "_TICK_S", 1e-4)


class OutOfOrder(Executor):
    """Finishes one of the jobs that run, at random, when it is full or when nothing more comes."""

    def __init__(self, width: int, seed: int, outcome: Callable[[Job], Outcome]) -> None:
        self.width, self.rng, self.outcome = width, random.Random(seed), outcome
        self.running: list[tuple[Job, Future[Any]]] = []
        self.seen: list[Job] = []

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if fn is look_up:
            future.set_result(survey(arguments[1]))
            return future
        self.seen.append(arguments[1])
        self.running.append((arguments[1], future))
        return future

    def finish_one(self) -> None:
        if self.running:
            job, future = self.running.pop(self.rng.randrange(len(self.running)))
            future.set_result(self.outcome(job))


def noisy(job: Job) -> Outcome:
    """The toy's outcome with an accuracy that depends on the seed of the training, as real ones do."""
    outcome = evaluate(job)
    if outcome.accuracy is None:
        return outcome
    accuracy = min(1.0, max(0.0, outcome.accuracy + (job.seed % 1000) / 5000 - 0.1))
    kept = job.task == "train" and job.weights is not None and accuracy >= job.keep_from
    if kept:
        Path(str(job.weights)).write_bytes(b"weights")
    return replace(outcome, accuracy=accuracy, accuracy_low=accuracy - 0.01, accuracy_high=accuracy + 0.01,
                   notes={"weights": "kept"} if kept else {})  # fmt: skip


def run(
    asked: SearchRequest, *, workers: int, seed: int, births: int | None = None, outcome: Callable[[Job], Outcome] = noisy
) -> tuple[dict[str, Any], OutOfOrder]:
    executor = OutOfOrder(workers, seed, outcome)
    engine = Engine("out of order", executor, lambda: workers, lambda: None, lambda: ("toy",))
    asked = replace(asked, budget=Budget(births=births)) if births else asked
    with SearchArchive(asked.archive) as archive:
        held = archive.settings
        course, settings = begun(asked, WORK, engine, archive) if held is None else resumed(asked, WORK, held, archive)
        loop = Loop(asked, WORK.module, engine, archive, course, settings)
        room = loop._room

        def finishing() -> int:
            if len(executor.running) >= workers or not course.ready or loop.ended:
                executor.finish_one()
            return room()

        loop._room = finishing  # type: ignore[method-assign]
        loop.run()
    return session._summary(asked, loop, course), executor


def content(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT candidate_id, status, accuracy, accuracy_low, accuracy_spread, trainings, genome, parents, seed, reason"
            " FROM archive").fetchall()  # fmt: skip


def test_outcomes_told_in_the_order_of_birth_give_the_same_archive_with_any_number_of_workers(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    contents = []
    for workers in (1, 2, 3, 4, 7):
        path = tmp_path / f"{workers}.db"
        run(request(path, plan=LAGGING, measure="none", confirm=3, budget=Budget(births=60)), workers=workers, seed=seed)
        contents.append(content(path))
    assert len(contents[0]) == 60
    assert all(other == contents[0] for other in contents[1:]), seed
    # resumed in the middle, with other workers
    path = tmp_path / "resumed.db"
    for births, workers in ((13, 3), (37, 1), (60, 4)):
        asked = request(path, plan=LAGGING, measure="none", confirm=3 if births == 60 else 0)
        run(asked, workers=workers, seed=seed, births=births)
    assert content(path) == contents[0], seed
    # and where they are told as they come, the number of workers does change it
    for workers in (1, 4):
        plan = replace(LAGGING, lag=None)
        run(
            request(tmp_path / f"async{workers}.db", plan=plan, measure="none", budget=Budget(births=60)),
            workers=workers,
            seed=seed,
        )
    assert content(tmp_path / "async1.db") != content(tmp_path / "async4.db")


def test_a_measured_objective_cannot_be_reproduced(tmp_path: Path) -> None:
    for column in ("inference_time_s", "train_time_s"):
        plan = replace(LAGGING, objectives=(ACCURACY, Objective(column, "min")))
        with pytest.raises(ValueError, match="measurements differ each time, so --reproducible cannot"):
            run(request(tmp_path / "run.db", plan=plan), workers=1, seed=0)
    with pytest.raises(ValueError, match="--reproducible is 0; it must be 1 or more"):
        replace(LAGGING, lag=0)


def test_reproducible_workers_compute_with_one_thread_and_the_same_kernels() -> None:
    for workers in (1, 3):
        slots = local_slots("cpu", workers, reproducible=True)
        assert [slot.threads for slot in slots] == [1] * workers
        assert slots[0].environment()["MKL_CBWR"] == "COMPATIBLE"
    assert "MKL_CBWR" not in local_slots("cpu", 1)[0].environment()


def test_the_best_are_trained_again_and_announced_by_their_means(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    answer, executor = run(request(path, measure="none", confirm=3, final=1, stops=False), workers=2, seed=1)
    again = [job for job in executor.seen if job.task.startswith("again")]
    births = {job.birth for job in again}
    assert 3 <= len(births) <= 9
    assert len(again) == 2 * len(births)
    for birth in births:
        own = [job.seed for job in executor.seen if job.birth == birth and job.task != "final"]
        assert len(set(own)) == 3  # each with a seed of its own
    rows = {row[0]: row for row in content(path)}
    means = {number: rows[str(number)][2] for number in births}
    best = max(means, key=lambda number: means[number])
    assert answer["best"] == {"candidate_id": str(best), "accuracy": means[best], "trainings": 3,
                              "low": pytest.approx(answer["best"]["low"]), "high": pytest.approx(answer["best"]["high"])}  # fmt: skip
    assert {row[5] for number, row in rows.items() if row[1] == "ok" and int(number) not in births} == {1}
    assert [job.birth for job in executor.seen if job.task == "final"] == [best]
    # nobody who was trained once only is above the third of those that were trained again, or three rounds were not enough
    assert "mean of 3 trainings" in as_text(answer)
    first = [row for row in rows.values() if row[1] == "ok"]
    assert answer["best"]["accuracy"] <= max(row[2] for row in first) + 1e-12


def test_the_next_best_takes_the_place_of_a_winner_whose_last_training_fails(tmp_path: Path) -> None:
    finals: list[int] = []

    def failing(job: Job) -> Outcome:
        if job.task != "final":
            return noisy(job)
        finals.append(job.birth)
        return noisy(job) if len(finals) == 2 else Outcome("collapsed", "it learned nothing")

    answer, _ = run(
        request(tmp_path / "run.db", measure="none", confirm=2, final=1, budget=Budget(births=8)),
        workers=2,
        seed=1,
        outcome=failing,
    )
    best = sorted((row for row in content(tmp_path / "run.db") if row[5] > 1), key=lambda row: -row[2])
    assert [str(birth) for birth in finals] == [row[0] for row in best[:2]]
    assert {final["candidate_id"]: final["status"] for final in answer["final"]} == {best[0][0]: "collapsed", best[1][0]: "ok"}


def test_a_winner_that_the_disk_does_not_take_is_retrained_once_there_is_room(tmp_path: Path) -> None:
    room = False

    def full(job: Job) -> Outcome:
        if job.task == "final" and not room:
            return Outcome("lost", "run-3: the network cannot be saved (No space left on device)", notes={"unsaved": True})
        return noisy(job)

    asked = request(tmp_path / "run.db", measure="none", confirm=0, final=1, budget=Budget(births=8))
    with pytest.raises(EvolverError, match=r"No space left on device\); finished work is kept: free some space"):
        run(asked, workers=1, seed=1, outcome=full)
    room = True
    answer, _ = run(asked, workers=1, seed=1, outcome=full)
    best = max(content(tmp_path / "run.db"), key=lambda row: row[2] or 0.0)
    assert [(final["candidate_id"], final["status"]) for final in answer["final"]] == [(best[0], "ok")]


def test_weights_are_kept_of_candidates_near_the_front_and_of_no_others(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run(request(path, measure="front", stops=False), workers=2, seed=2)
    with SearchArchive(path) as archive:
        held = archive.settings
        assert held is not None
        course, _ = resumed(request(path, measure="front", stops=False), WORK, held, archive)
    kept = {int(file.stem) for file in (tmp_path / "run-weights").iterdir()}
    assert kept == set(course.near_front)
    measured = json.dumps(sorted(kept))
    assert measured != "[]"


def test_kept_weights_stay_within_their_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolver.run.winners.kept_weights.MOST_BYTES", 25)
    weights = KeptWeights(tmp_path / "run.db")
    weights.open()
    for birth in range(5):
        Path(weights.path(birth)).write_bytes(b"0123456789")
    Path(weights.path(7) + ".part").write_bytes(b"0123")
    weights.prune([3, 1, 2], running=lambda birth: birth == 4)
    assert sorted(file.name for file in weights.folder.iterdir()) == ["1.pt", "3.pt", "4.pt"]
    weights.prune([], running=lambda birth: False)
    weights.close()
    assert not weights.folder.exists()
