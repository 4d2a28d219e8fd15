"""What the master of a search costs, and how busy it keeps its workers.

python -m tests.benchmarks.master_cost births|rate|busy|poison|cluster

births   seconds of the master for one birth (ask, commit, hear, commit), with 10,000 births in the archive
rate     births a second that the whole loop sustains with work that takes no time
busy     share of the time that slots work, with lognormal durations (sigma 1) and an executor of sleeping slots; and the
         throughput of a generational search on the same durations
poison   processes, descriptors and memory after 1,000 jobs that each kill their worker
cluster  jobs of one second on two local slots and on two Dask nodes
"""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecosel.objectives import ACCURACY, Objective
from evolver.architectures.problem import Architectures
from evolver.architectures.space import Space
from evolver.archive import SearchArchive
from evolver.jobs import Job, Outcome, Settings
from evolver.run.loop import Loop
from evolver.run.request import Budget, SearchRequest
from evolver.search.optimizer import SearchSettings
from evolver.search.run_state import RunState
from evolver.workers.executors import Engine, open_engine
from evolver.workers.pool import perform

SPACE = Space((3, 32, 32), 10)
SETTINGS = Settings("cifar10", space=SPACE.to_dict())
_WATCHED_S = 30.0
MANY = SearchSettings((ACCURACY, Objective("parameters", "min"), Objective("flops", "min")))


def outcome(number: int) -> Outcome:
    """Return what a network of the paper's kind may come to; quantised as on 5,000 images."""
    accuracy = round(5000 * (1 - 1 / (1.2 + np.random.default_rng(number + 1).random() * 4))) / 5000
    curve = tuple((epoch, accuracy * (1 - 0.5**epoch)) for epoch in (1, 3, 9))
    return Outcome("ok", accuracy=accuracy, accuracy_low=accuracy - 0.01, accuracy_high=accuracy + 0.01, curve=curve,
                   train_time_s=5.0, epochs=20, topology="[]" * 300, device="cpu", precision="fp32")  # fmt: skip


def births() -> None:
    print(
        "| objectives | births in the archive | clock | ms per birth, median | p99 | max |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, plan in (("accuracy", SearchSettings()), ("accuracy, parameters, flops", MANY)):
        with tempfile.TemporaryDirectory() as folder, SearchArchive(Path(folder) / "run.db") as archive:
            course = RunState(Architectures(SPACE.to_dict()), plan, "front", True, 30)
            archive.begin({}, dataset="cifar10")
            costs = []
            for number in range(12_000):
                became = outcome(number - 1)
                wall, core = time.perf_counter(), time.thread_time()
                with archive.together():
                    if number:
                        archive.save_outcome(number - 1, "train", became)
                        course.tell(number - 1, "train", became)
                    birth = course.ask()
                    assert birth is not None
                    archive.save_birth(birth)
                course.rungs(birth)
                costs.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - core)))
        for start, stop in ((1000, 2000), (10_000, 12_000)):
            for k, clock in enumerate(("wall", "core")):
                part = np.array(costs)[start:stop, k]
                figures = f"{np.median(part):.2f} | {np.quantile(part, 0.99):.2f} | {part.max():.1f}"
                print(f"| {name} | {start:,} to {stop:,} | {clock} | {figures} |")


class Instant(Executor):
    """Has done a job when it is given."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(outcome(arguments[1].birth))
        return future


class Sleeping(Executor):
    """Slots that work for lognormal times; one thread wakes them."""

    def __init__(self, slots: int, mean_s: float, seed: int) -> None:
        self.slots, self.mean_s, self.rng = slots, mean_s, np.random.default_rng(seed)
        self.durations: list[float] = []
        self._ends: list[tuple[float, int, Future[Any], Job]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._wake, daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        duration = float(self.rng.lognormal(math.log(self.mean_s) - 0.5, 1.0))
        future: Future[Any] = Future()
        with self._changed:
            self.durations.append(duration)
            heapq.heappush(self._ends, (time.monotonic() + duration, len(self.durations), future, arguments[1]))
            self._changed.notify()
        return future

    def _wake(self) -> None:
        while True:
            with self._changed:
                while not self._ends or self._ends[0][0] > time.monotonic():
                    self._changed.wait(self._ends[0][0] - time.monotonic() if self._ends else None)
                _, _, future, job = heapq.heappop(self._ends)
            future.set_result(outcome(job.birth))

    def unfinished(self) -> float:
        """Return the seconds of work that were given out and are not done."""
        with self._changed:
            return sum(max(0.0, end - time.monotonic()) for end, *_ in self._ends)


def loop(folder: str, executor: Executor, slots: int, budget: Budget, watch: Callable[[Any], None]) -> tuple[Loop, SearchArchive]:
    archive = SearchArchive(Path(folder) / "run.db")
    archive.begin({}, dataset="cifar10")
    request = SearchRequest(archive.path, SETTINGS, SearchSettings(), budget, "none")
    course = RunState(Architectures(SPACE.to_dict()), SearchSettings(), "none", True, 30)
    engine = Engine("simulated", executor, lambda: slots, lambda: None, lambda: (f"{slots} simulated",))
    return Loop(request, "none", engine, archive, course, SETTINGS, watch), archive


def rate() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run, archive = loop(folder, Instant(), 64, Budget(births=10_000), lambda progress: None)
        wall, core = time.perf_counter(), time.thread_time()
        run.run()
        took, used = time.perf_counter() - wall, time.thread_time() - core
        archive.close()
    print(f"10,000 births of no work in {took:.1f} s, {used:.1f} s of them on a core: "
          f"{10_000 / took:,.0f} births/s, {10_000 / used:,.0f} for each second of a core")  # fmt: skip


def busy() -> None:
    print(
        "| slots | mean s | births | busy | births/s | generational births/s | ratio |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for slots, mean_s in ((64, 1.0), (64, 5.0), (512, 1.0), (512, 5.0)):
        with tempfile.TemporaryDirectory() as folder:
            executor = Sleeping(slots, mean_s, seed=slots)
            window: list[tuple[float, float, int]] = []  # moment, work done by then, births
            began = time.monotonic()

            def watch(progress: Any, executor: Sleeping = executor, window: list[Any] = window, began: float = began) -> None:
                window.append((time.monotonic(), sum(executor.durations) - executor.unfinished(), progress.finished))
                if window[-1][0] - began > _WATCHED_S:
                    raise TimeoutError  # what still sleeps is of no interest

            run, archive = loop(folder, executor, slots, Budget(), watch)
            with archive, contextlib.suppress(TimeoutError):
                run.run()
            # the first seconds fill the slots, and are what a run of hours pays once
            first = next(k for k, part in enumerate(window) if part[0] - began > 2.0)
            (start, work, done), (stop, more, then) = window[first], window[-1]
            share, speed = (more - work) / (slots * (stop - start)), (then - done) / (stop - start)
            draws = np.array(executor.durations[: len(executor.durations) // slots * slots]).reshape(-1, slots)
            generational = draws.size / draws.max(axis=1).sum()
            print(f"| {slots} | {mean_s:g} | {then:,} | {share:.1%} | {speed:.1f} | {generational:.1f} | {speed / generational:.1f} |",
                  flush=True)  # fmt: skip


def poison() -> None:
    import psutil

    names = ("segfault", "leave", "error", "unpicklable", "lock", "wrong", "nan", "allocate", "loop", "grandchild")
    mine = psutil.Process()
    print("| jobs | seconds | processes | descriptors | resident MB | outcomes |\n| --- | --- | --- | --- | --- | --- |")
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        began = time.perf_counter()
        counts: dict[str, int] = {}
        for batch in range(11):
            if batch:
                jobs = [Job("train", k, names[k % len(names)], 0, "{}") for k in range(100)]
                futures = [engine.executor.submit(perform, "tests.evolver.poison:evaluate", job, 0.5) for job in jobs]
                wait(futures)
                for future in futures:
                    counts[future.result().status] = counts.get(future.result().status, 0) + 1
            warm = [Job("train", k, "fine", 0, "{}") for k in range(8)]
            wait([engine.executor.submit(perform, "tests.evolver.poison:evaluate", job, 30.0) for job in warm])
            if batch in (0, 1, 5, 10):
                said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
                print(f"| {100 * batch} | {time.perf_counter() - began:.0f} | {len(mine.children(recursive=True))} | {mine.num_fds()} "
                      f"| {mine.memory_info().rss / 1e6:.1f} | {said} |", flush=True)  # fmt: skip


def cluster() -> None:
    jobs = [Job("train", k, "second", 0, "{}") for k in range(120)]
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        scheduler = Path(folder) / "scheduler.json"
        shared = ["--scheduler-file", str(scheduler), "--no-dashboard"]
        module = [sys.executable, "-m"]
        node = [*module, "distributed.cli.dask_worker", *shared, "--nthreads", "1", "--nanny", "--local-directory", folder]
        first = [*module, "distributed.cli.dask_scheduler", *shared, "--host", "127.0.0.1", "--port", "0"]
        started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in (first, node, node)]
        while not scheduler.exists():
            time.sleep(0.1)
        for name in (None, str(scheduler)):
            with closing(open_engine(name, devices="cpu", workers=None if name else 2)) as engine:
                while engine.capacity() < 2:
                    time.sleep(0.1)
                ahead = 2 if name is None else engine.capacity()
                rates.append(_throughput(engine, jobs, ahead))
                print(f"{(name and 'Dask, two nodes') or 'local, two slots'}: {rates[-1]:.3f} jobs/s of one second")
        for process in started:
            process.terminate()
    print(f"Dask reaches {rates[1] / rates[0]:.1%} of local")


def _throughput(engine: Engine, jobs: list[Job], ahead: int) -> float:
    """Keep as many jobs with the engine as the loop would; return jobs a second once its workers are warm."""
    entry, running, began = "tests.evolver.poison:evaluate", set[Future[Outcome]](), 0.0
    for k, job in enumerate(jobs):
        if k == 8:
            wait(running)
            began = time.perf_counter()
            running.clear()
        while len(running) >= ahead:
            running = wait(running, return_when="FIRST_COMPLETED").not_done
        running.add(engine.executor.submit(perform, entry, replace(job, birth=k), 30.0))
    wait(running)
    return (len(jobs) - 8) / (time.perf_counter() - began)


if __name__ == "__main__":
    parts: dict[str, Callable[[], None]] = {"births": births, "rate": rate, "busy": busy, "poison": poison, "cluster": cluster}
    if len(sys.argv) != 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}\n")
    parts[sys.argv[1]]()
