"""A run: budgets, interrupts, kill -9 at any moment, resuming, measuring, and what is refused; with real processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.archive import SearchArchive
from evolver.errors import EvolverError
from evolver.jobs import Outcome, Settings
from evolver.run import session
from evolver.run.loop import Loop
from evolver.run.request import Budget, SearchRequest, resumed
from evolver.run.request import begun as begun_run
from evolver.run.session import as_text
from evolver.search.optimizer import Birth, Search, SearchSettings
from evolver.workers.executors import Engine, open_engine
from evolver.workers.pool import local_executor, look_up
from profilers.machine.child import DeviceSlot
from tests.conftest import ROOT, environment
from tests.evolver import places
from tests.evolver.toy import WORK, ToyGenomes, evaluate, request, survey


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with closing(open_engine(None, devices="cpu", workers=2)) as opened:
        yield opened


def search(asked: SearchRequest, engine: Engine) -> dict[str, Any]:
    return session.evolve(asked, WORK, engine, progress="quiet")


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def begun(path: Path) -> Counter[tuple[str, int]]:
    """Return how often each job was begun by a worker."""
    return Counter((task, birth) for task, birth, _ in begun_by(path))


def begun_by(path: Path) -> list[tuple[str, int, int]]:
    """Return task, birth and process of each job that a worker began; a line that is being written is none."""
    lines = path.read_text("ascii").split("\n")[:-1] if path.exists() else []
    return [(task, int(birth), int(pid)) for task, birth, pid in map(str.split, lines)]


def test_a_run_ends_at_its_births_and_continues_to_more(tmp_path: Path, engine: Engine) -> None:
    asked = request(tmp_path / "run.db", begun=tmp_path / "begun")
    first = search(asked, engine)
    assert (first["births"], first["unfinished"], first["ended"]) == (30, 0, "30 births")
    again = search(asked, engine)
    assert (again["births"], again["best"]) == (30, first["best"])
    more = search(request(tmp_path / "run.db", begun=tmp_path / "begun", budget=Budget(births=45)), engine)
    assert (more["births"], more["unfinished"]) == (45, 0)
    trained = {job: count for job, count in begun(tmp_path / "begun").items() if job[0] == "train"}
    assert trained == {("train", birth): 1 for birth in range(45)}


def replayed(path: Path, plan: SearchSettings) -> list[str]:
    """Return the genomes that a new search asks for when it hears what the archive holds, when it is told."""
    with SearchArchive(path) as archive:
        births, outcomes = list(archive.births()), [part for part in archive.outcomes() if part[1] == "train"]
    again: Search[str] = Search(ToyGenomes({"landscape": 3}), plan)
    genomes = []
    for birth in births:
        while again.told < birth.told:
            number, _, outcome = outcomes[again.told]
            again.tell(number, {"accuracy": outcome.accuracy} if outcome.status == "ok" else None)
        asked = again.ask()
        assert asked is not None
        genomes.append(asked.genome)
    return genomes


def test_an_archive_says_how_each_birth_came_about(tmp_path: Path, engine: Engine) -> None:
    asked = request(tmp_path / "run.db", budget=Budget(births=80))
    search(asked, engine)
    search(request(tmp_path / "run.db", budget=Budget(births=120)), engine)
    assert replayed(tmp_path / "run.db", asked.plan) == [
        genome for (genome,) in rows(tmp_path / "run.db", "SELECT genome FROM births")
    ]


MASTER = [sys.executable, "-m", "tests.evolver.toy"]


def master(folder: Path, births: int) -> subprocess.Popen[bytes]:
    command = [*MASTER, str(folder / "run.db"), str(folder / "begun"), str(births)]
    return subprocess.Popen(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE)


def finished(path: Path) -> dict[int, tuple[Any, ...]]:
    try:
        return {row[0]: row for row in rows(path, "SELECT birth, status, accuracy, finished_at FROM archive")}
    except sqlite3.OperationalError:
        return {}  # killed before there were tables


def test_a_master_killed_at_random_moments_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    kept: dict[int, tuple[Any, ...]] = {}
    kills, births = 0, 0
    while kills < 16:
        births += 40
        running = master(tmp_path, births)
        try:
            running.communicate(timeout=rng.uniform(0.1, 0.5))
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            kills += 1
        now = finished(tmp_path / "run.db")
        assert kept.items() <= now.items(), seed  # what was finished stays as it was
        kept = now
    with master(tmp_path, births) as last:
        answer = json.loads(last.communicate()[0])
    assert last.returncode == 0, seed
    assert (answer["births"], answer["unfinished"]) == (births, 0), seed
    trained = Counter({birth: count for (task, birth), count in begun(tmp_path / "begun").items() if task == "train"})
    assert set(trained) == set(range(births)), seed
    # of the two that ran at a kill each is run again, and nothing else is
    assert sum(trained.values()) <= births + 2 * kills, seed
    assert rows(tmp_path / "run.db", "PRAGMA integrity_check") == [("ok",)]
    assert replayed(tmp_path / "run.db", request(tmp_path).plan) == [
        genome for (genome,) in rows(tmp_path / "run.db", "SELECT genome FROM births")
    ], seed


def passes(running: subprocess.Popen[bytes], condition: Callable[[], bool]) -> bool:
    """Look now and then, and return whether a condition holds before a process ends."""
    while not condition():
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(0.005)
            return False
    return True


def test_workers_that_are_killed_cost_nothing_but_time(tmp_path: Path) -> None:
    """A job may be lost twice: workers are killed at jobs that nobody began before, and only after others were done."""
    kills, births, at_last_kill = 0, 200, 0

    def prey() -> list[int]:
        jobs = begun_by(tmp_path / "begun")
        times = Counter((task, birth) for task, birth, _ in jobs)
        at = {pid: times[task, birth] for task, birth, pid in jobs}
        return [child.pid for child in psutil.Process(running.pid).children() if at.get(child.pid) == 1]

    def others_were_done() -> bool:
        return count(tmp_path / "run.db") > at_last_kill + 5

    with master(tmp_path, births) as running:
        while kills < 12 and passes(running, others_were_done):
            found = prey()
            for pid in found if kills % 3 == 0 else found[:1]:  # all workers, or one
                os.kill(pid, signal.SIGKILL)
            if found:
                at_last_kill = count(tmp_path / "run.db")
                kills += 1
        answer = json.loads(running.communicate()[0])
    assert kills == 12
    assert (answer["births"], answer["unfinished"]) == (births, 0)
    assert set(answer["outcomes"]) <= {"ok", "stopped"}


class LosesOne(Executor):
    """Does a job as it is submitted, but the first, which it loses in the moment in which the second is done."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []
        self._first: Future[Any] = Future()

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if fn is look_up:
            future.set_result(survey(arguments[1]))
            return future
        job = arguments[1]
        self.jobs.append((job.task, job.birth))
        if len(self.jobs) == 1:
            return self._first
        future.set_result(evaluate(job))
        if len(self.jobs) == 2:
            self._first.set_result(Outcome("lost", "its node went away"))
        return future


def test_what_is_lost_while_another_is_done_is_run_once_more_only(tmp_path: Path) -> None:
    executor = LosesOne()
    engine = Engine("loses one", executor, lambda: 2, lambda: None, lambda: ("2 x nothing",))
    assert search(request(tmp_path / "run.db", measure="none"), engine)["unfinished"] == 0
    assert Counter(executor.jobs) == Counter({("train", birth): 1 + (birth == 0) for birth in range(30)})


def count(path: Path) -> int:
    try:
        return int(rows(path, "SELECT COUNT(*) FROM outcomes")[0][0])
    except sqlite3.OperationalError:
        return 0  # there are no tables yet


def _some_are_done(path: Path) -> bool:
    return count(path) >= 10


def test_ctrl_c_lets_running_jobs_finish_and_a_second_one_stops_at_once(tmp_path: Path) -> None:
    for presses in (1, 2):
        folder = tmp_path / str(presses)
        folder.mkdir()
        with master(folder, 10**6) as running:
            assert passes(running, partial(_some_are_done, folder / "run.db"))
            before = finished(folder / "run.db")
            for _ in range(presses):
                running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=60)
        if presses == 1:
            assert running.returncode == 0
            answer = json.loads(out)
            assert (answer["ended"], answer["unfinished"], answer["exit_status"]) == ("interrupted", 0, 130)
        assert len(before) >= 5
        assert before.items() <= finished(folder / "run.db").items()
        ended = rows(folder / "run.db", "SELECT ended FROM sessions")
        assert ended[0][0] in ("interrupted", "stopped")


def test_births_end_with_the_time_and_running_jobs_finish(tmp_path: Path, engine: Engine) -> None:
    answer = search(request(tmp_path / "run.db", budget=Budget(time_s=0.2)), engine)
    assert answer["ended"] == "0.2 s"
    assert answer["births"] > 0
    assert answer["unfinished"] == 0
    assert 0.2 <= answer["elapsed_s"] < 2


def test_a_budget_of_joules_ends_a_run(tmp_path: Path, engine: Engine) -> None:
    settings = replace(request(tmp_path).settings, meter="constant:100")
    answer = search(request(tmp_path / "run.db", settings=settings, budget=Budget(joules=40)), engine)
    assert answer["ended"] == "40 J"
    assert 40 <= answer["joules"] < 300  # 100 W for 0.4 s, looked at every quarter of a second
    assert rows(tmp_path / "run.db", "SELECT joules FROM sessions") == [(pytest.approx(answer["joules"]),)]


def test_only_candidates_near_the_front_are_measured_and_all_are_on_request(tmp_path: Path, engine: Engine) -> None:
    for measure in ("front", "all", "none"):
        path = tmp_path / f"{measure}.db"
        answer = search(request(path, measure=measure, stops=False), engine)
        measured = {row[0] for row in rows(path, "SELECT candidate_id FROM archive WHERE inference_time_s IS NOT NULL")}
        everyone = {str(number) for number in range(30)}
        assert measured == {"none": set(), "all": everyone}.get(measure, measured)
        if measure == "front":
            assert set(answer["front"]) <= measured < everyone


def test_the_front_is_measured_first_and_the_most_accurate_of_it_before_the_others(tmp_path: Path, engine: Engine) -> None:
    path, begun_file = tmp_path / "run.db", tmp_path / "begun"
    search(request(path, begun=begun_file, measure="none", stops=False), engine)
    with closing(open_engine(None, devices="cpu", workers=1)) as one:
        answer = search(request(path, begun=begun_file, measure="front", stops=False), one)
    measured = [str(birth) for task, birth, _ in begun_by(begun_file) if task == "measure"]
    assert measured[: len(answer["front"])] == answer["front"]
    assert len(measured) > len(answer["front"]) > 1
    assert measured != sorted(measured, key=int)


def test_an_objective_that_is_measured_guides_the_search(tmp_path: Path, engine: Engine) -> None:
    plan = SearchSettings((ACCURACY, Objective("energy_per_inference_j", "min")), population=8, lifetime=40)
    answer = search(request(tmp_path / "run.db", plan=plan, stops=False), engine)
    assert answer["unfinished"] == 0
    measured = rows(tmp_path / "run.db", "SELECT birth FROM outcomes WHERE task = 'measure' ORDER BY sequence")
    assert 0 < len(measured) <= 30
    with pytest.raises(ValueError, match="--measure is none; give --measure front or all"):
        search(request(tmp_path / "none.db", plan=plan, measure="none"), engine)
    assert not list(tmp_path.glob("none.db*"))


def test_limits_known_before_training_cost_no_training(tmp_path: Path, engine: Engine) -> None:
    plan = SearchSettings(limits=(Limit("parameters", 4000),), population=8, lifetime=40)
    search(request(tmp_path / "run.db", plan=plan), engine)
    ((most,),) = rows(tmp_path / "run.db", "SELECT MAX(parameters) FROM births")
    assert most <= 4000


def test_what_was_begun_otherwise_is_refused_in_one_line(tmp_path: Path, engine: Engine) -> None:
    search(request(tmp_path / "run.db"), engine)
    with pytest.raises(EvolverError, match=r"was started with seed = 0, not 1; .* choose another --archive"):
        search(request(tmp_path / "run.db", plan=SearchSettings(population=8, lifetime=40, seed=1)), engine)
    with pytest.raises(EvolverError, match=r'was started with dataset = "", not "other"'):
        search(request(tmp_path / "run.db", begun="other"), engine)


def test_a_start_of_another_kind_is_refused_and_leaves_no_file(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(EvolverError, match="--start: it has 1 slots, not 12"):
        search(request(tmp_path / "run.db", start=("[[1, 2]]",)), engine)
    assert not list(tmp_path.iterdir())


def test_a_run_begins_with_the_genomes_that_it_is_given(tmp_path: Path, engine: Engine) -> None:
    genome = json.dumps([[1, slot % 8] for slot in range(12)])
    search(request(tmp_path / "run.db", start=(genome,)), engine)
    assert rows(tmp_path / "run.db", "SELECT genome, parents FROM births WHERE birth = 0") == [(genome, "[]")]


def test_what_a_run_was_made_with_is_in_its_archive(tmp_path: Path, engine: Engine) -> None:
    search(request(tmp_path / "run.db", command="ecosel evolve"), engine)
    (settings,), (provenance, started, ended, why) = (
        rows(tmp_path / "run.db", "SELECT settings FROM run")[0],
        rows(tmp_path / "run.db", "SELECT provenance, started_at, ended_at, ended FROM sessions")[0],
    )
    assert json.loads(settings)["plan"]["seed"] == 0
    assert json.loads(settings)["survey"]["versions"] == {"toy": "1"}
    made = json.loads(provenance)
    assert (made["command"], made["devices"], why) == ("ecosel evolve", ["2 x cpu"], "30 births")
    assert set(made["versions"]) == {"ecosel", "python", "numpy", "sqlite"}
    assert started <= ended


def test_ten_thousand_births_are_taken_up_within_a_second(tmp_path: Path, engine: Engine) -> None:
    asked = request(tmp_path / "run.db", plan=SearchSettings())
    search(asked, engine)
    problem, rng = ToyGenomes({"landscape": 3}), np.random.default_rng(0)
    with SearchArchive(tmp_path / "run.db") as archive:
        held = archive.settings
        assert held is not None
        course, _ = resumed(asked, WORK, held, archive)
        with archive.together():
            for number in range(30, 10_000):
                genome = problem.random(rng)
                birth = Birth(number, genome, f"{number}", (0, 1), number, number, problem.known(genome))
                outcome = Outcome("ok", accuracy=float(rng.integers(1000)) / 1000, curve=((1, 0.5),), topology="[]" * 300)
                archive.save_birth(birth)
                archive.save_outcome(number, "train", outcome)
                course.replay(birth)
                course.tell(number, "train", outcome)
    with SearchArchive(tmp_path / "run.db") as archive:
        began = time.thread_time()  # other work on the machine is none of ours
        again, _ = resumed(asked, WORK, held, archive)
        took = time.thread_time() - began
    assert again.search.births == again.search.told == 10_000
    assert again.front == course.front
    assert [again.ask() for _ in range(10)] == [course.ask() for _ in range(10)]
    assert took < 1, took


def test_a_run_in_a_thread_leaves_signals_alone(tmp_path: Path, engine: Engine) -> None:
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=search, args=(request(tmp_path / "run.db"), engine))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert os.path.exists(tmp_path / "run.db")


def test_energy_is_not_an_objective_where_it_cannot_be_measured(tmp_path: Path, engine: Engine) -> None:
    settings = Settings("", meter="none here")
    for plan in (
        SearchSettings((ACCURACY, Objective("energy_per_inference_j", "min")), population=8),
        SearchSettings(limits=(Limit("energy_per_inference_j", 1),), population=8),
    ):
        with pytest.raises(EvolverError, match=r"energy_per_inference_j cannot be measured: none here"):
            search(request(tmp_path / "run.db", plan=plan, settings=settings), engine)
    assert not list(tmp_path.iterdir())


def test_joules_without_a_meter_leave_no_archive_behind(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"'candle' is not a meter"):
        search(request(tmp_path / "run.db", settings=Settings("", meter="candle"), budget=Budget(joules=1)), engine)
    assert not list(tmp_path.iterdir())


def test_winners_are_named_with_their_test_accuracy_and_their_files(tmp_path: Path, engine: Engine) -> None:
    answer = search(request(tmp_path / "run.db", final=2), engine)
    assert [final["status"] for final in answer["final"]] == ["ok", "ok"]
    for final in answer["final"]:
        path = tmp_path / f"run-{final['candidate_id']}"
        assert final["saved"] == str(path)
        assert f"candidate {final['candidate_id']}: test accuracy {final['test_accuracy']:.2%}, saved as {path}.pt2" in as_text(
            answer
        )
    failed = {"candidate_id": "7", "status": "oom", "test_accuracy": None, "saved": None, "reason": "too large"}
    assert "final: candidate 7: oom (too large), nothing was saved" in as_text({**answer, "final": [failed]})


def test_a_manifest_that_a_full_disk_refused_is_written_by_the_next_command(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, written = request(tmp_path / "run.db", final=1), Path.write_text

    def full(path: Path, *arguments: str) -> int:
        written(path, "{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EvolverError, match=r"No space left on device.*run the same command"):
        search(asked, engine)
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*"))
    answer = search(asked, engine)
    stem = tmp_path / f"run-{answer['final'][0]['candidate_id']}"
    stem.with_suffix(".pt2").touch()  # the toy saves nothing
    search(asked, engine)
    assert json.loads(stem.with_suffix(".json").read_text())["candidate_id"] == answer["final"][0]["candidate_id"]


def test_a_fault_of_the_place_ends_the_run_and_is_not_the_fault_of_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evolver.workers.pool._HOLD_S", 0.01)
    data, path = tmp_path / "data", tmp_path / "run.db"
    asked = request(path, begun=data, measure="none", budget=Budget(births=60))

    def away(progress: Any) -> None:
        """Take the data away, and the workers that hold it in memory."""
        if progress.finished >= 20 and data.exists():
            data.unlink()
            for child in psutil.Process().children():
                child.kill()

    for births in (5, 60):  # away before the first birth is trained, and in the middle
        if births > 5:
            data.write_text("")
        asked = replace(asked, budget=Budget(births=births))
        with closing(open_engine(None, devices="cpu", workers=2)) as engine, SearchArchive(path) as archive:
            held = archive.settings
            course, settings = (
                resumed(asked, places.WORK, held, archive) if held else begun_run(asked, places.WORK, engine, archive)
            )
            loop = Loop(asked, places.WORK.module, engine, archive, course, settings, away)
            monkeypatch.setattr("evolver.run.loop._TICK_S", 0.005)
            with pytest.raises(
                EvolverError, match=r"^6 jobs in a row failed, the last one: a worker could not start: no data set there; .* fix"
            ):
                loop.run()
        assert rows(path, "SELECT COUNT(*) FROM outcomes WHERE status NOT IN ('ok', 'stopped')") == [(0,)]
    assert rows(path, "SELECT ended FROM sessions")[0][0].startswith("failed: 6 jobs in a row")
    data.write_text("")
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        answer = session.evolve(asked, places.WORK, engine, progress="quiet")
    assert (answer["births"], answer["unfinished"]) == (60, 0)
    assert set(answer["outcomes"]) <= {"ok", "stopped"}


def test_a_broken_place_takes_no_jobs_from_good_ones(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    executor, children = local_executor([DeviceSlot("GPU-broken"), DeviceSlot("cpu", 1)])
    engine = Engine("half broken", executor, lambda: 2, children.close, lambda: ("2 x cpu",))
    with closing(engine):
        answer = session.evolve(
            request(tmp_path / "run.db", begun=tmp_path / "data", budget=Budget(births=60)), places.WORK, engine, progress="quiet"
        )
    assert (answer["births"], answer["unfinished"]) == (60, 0)
    assert set(answer["outcomes"]) <= {"ok", "stopped"}


class Crashes(LosesOne):
    """Every job crashes; or the engine is gone."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(survey(arguments[1]) if fn is look_up else Outcome("crash", "CUDA error: unspecified launch failure"))
        return future


def test_a_run_in_which_everything_crashes_ends_with_the_reason(tmp_path: Path) -> None:
    engine = Engine("crashes", Crashes(), lambda: 2, lambda: None, lambda: ("2 x nothing",))
    with pytest.raises(EvolverError, match=r"^20 jobs in a row failed, the last one: CUDA error: unspecified launch failure; "):
        search(request(tmp_path / "run.db", measure="none", budget=Budget(births=1000)), engine)


def test_an_engine_that_goes_away_gives_one_line_and_everything_finished_is_kept(tmp_path: Path) -> None:
    gone: list[bool] = []

    def capacity() -> int:
        if gone:
            raise OSError("ConnectionPool closing.")
        gone.append(True)
        return 2

    engine = Engine("dask", LosesOne(), capacity, lambda: None, lambda: ("2 x nothing",))
    loop_clock = iter(range(0, 10**6, 3))
    with SearchArchive(tmp_path / "run.db") as archive:
        asked = request(tmp_path / "run.db", budget=Budget(births=10**5))
        course, settings = begun_run(asked, WORK, engine, archive)
        loop = Loop(asked, WORK.module, engine, archive, course, settings, clock=lambda: float(next(loop_clock)))
        with pytest.raises(EvolverError, match=r"^dask takes no more work \(ConnectionPool closing.\); finished work is kept"):
            loop.run()


def test_the_choice_of_candidates_to_measure_may_change_on_resume_where_the_search_does_not_depend_on_it(
    tmp_path: Path, engine: Engine
) -> None:
    path = tmp_path / "run.db"
    search(request(path, measure="none"), engine)
    answer = search(request(path, measure="front"), engine)
    measured = {row[0] for row in rows(path, "SELECT candidate_id FROM archive WHERE inference_time_s IS NOT NULL")}
    assert set(answer["front"]) <= measured
    assert (answer["births"], answer["resumed"], answer["finished"]) == (30, 30, 0)
    said = as_text(answer)
    assert "30 births, all of them from earlier runs" in said
    assert f"\nthis command: {len(measured)} measured in " in said
    phases = list[str]()
    with SearchArchive(path) as archive:
        asked = request(path, measure="all")
        course, settings = resumed(asked, WORK, archive.settings or {}, archive)
        ticks = itertools.count()
        said_at = {"watch": lambda progress: phases.append(progress.phase), "clock": lambda: float(next(ticks))}
        Loop(asked, WORK.module, engine, archive, course, settings, **said_at).run()  # type: ignore[arg-type]
    assert set(phases) == {"measure"}
    plan = SearchSettings((ACCURACY, Objective("energy_per_inference_j", "min")), population=8, lifetime=40)
    search(request(tmp_path / "told.db", plan=plan), engine)
    with pytest.raises(EvolverError, match='was started with measure = "front", not "all"'):
        search(request(tmp_path / "told.db", plan=plan, measure="all"), engine)


def test_a_surrogate_leaves_the_cores_to_the_workers(tmp_path: Path, engine: Engine) -> None:
    threads = list[int]()

    class Described(ToyGenomes):
        def features(self, genome: str, /) -> list[float]:
            threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas" and len(threads) < 9)
            return [float(value) for slot in json.loads(genome) for value in slot]

    plan = SearchSettings(population=8, lifetime=40, surrogate=True)
    with threadpool_limits(2, user_api="blas"):
        asked = request(tmp_path / "run.db", plan=plan, measure="none", budget=Budget(births=40))
        answer = session.evolve(asked, replace(WORK, genomes=Described), engine, progress="quiet")
        after = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert answer["births"] == 40
    assert set(threads) == {1}
    assert after == {2}
