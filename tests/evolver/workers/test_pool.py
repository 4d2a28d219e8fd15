"""Workers: every way to die is one outcome, nobody else suffers, nothing is left behind; the same on a Dask cluster."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome
from evolver.run import session
from evolver.workers.executors import Engine, open_engine, place
from evolver.workers.pool import ChildPool, cpu_slots, look_up, outcome_of, perform
from profilers.machine.child import DeviceSlot
from profilers.meters.nvml.boards import Board, Machine
from tests.conftest import ROOT, environment
from tests.evolver.toy import WORK
from tests.evolver.toy import request as request_of_toy

EVALUATE = "tests.evolver.poison:evaluate"
# what a job does: the status of its outcome, and words of its reason
POISONS = {
    "segfault": ("crash", "Segmentation fault .signal 11."),
    "leave": ("crash", "exit status 0"),
    "loop": ("timeout", "not done within 0.5 s"),
    "allocate": ("oom", "MemoryError"),
    "nan": ("nan", "accuracy is nan"),
    "unpicklable": ("crash", "AttributeError: Can't pickle"),
    "lock": ("crash", "TypeError: cannot pickle"),
    "wrong": ("crash", "returned str, not an Outcome"),
    "error": ("crash", "RuntimeError: the layers do not fit .poison.py:"),
    "grandchild": ("crash", "exit status 3"),
}


def job(name: str, settings: str = "{}", *, task: str = "train") -> Job:
    return Job(task, 0, name, 0, settings)  # type: ignore[arg-type]


def ask(engine: Engine, name: str, *, deadline_s: float = 30.0) -> Future[Outcome]:
    return engine.executor.submit(perform, EVALUATE, job(name), deadline_s)


@pytest.fixture
def local() -> Iterator[Engine]:
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        yield engine


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two nodes, each a nanny with one worker of one thread, as on two machines."""
    folder = tmp_path_factory.mktemp("dask")
    scheduler = folder / "scheduler.json"
    python = [sys.executable, "-m"]
    shared = ["--scheduler-file", str(scheduler), "--no-dashboard"]
    commands = [[*python, "distributed.cli.dask_scheduler", *shared, "--host", "127.0.0.1", "--port", "0"]]
    for node in ("a", "b"):
        own = ["--nthreads", "1", "--nanny", "--name", node, "--local-directory", str(folder / node)]
        commands.append([*python, "distributed.cli.dask_worker", *shared, *own])
    log = (folder / "log").open("wb")
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), stdout=log, stderr=log, start_new_session=True)
        for command in commands
    ]
    try:
        while not scheduler.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert started[0].wait(0.05) is None, "the scheduler ended"
        with closing(open_engine(str(scheduler), devices="auto", workers=None)) as engine:
            engine.executor._client.wait_for_workers(2, timeout=60)  # type: ignore[attr-defined]
            yield engine, started[1:]
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):  # a node that a test killed may have ended already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@pytest.mark.parametrize("where", ["local", "cluster"])
def test_each_poison_costs_one_candidate_and_nobody_else(where: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(where)
    engine = found if isinstance(found, Engine) else found[0]
    # warm: what follows is not delayed by a start
    assert {outcome.status for outcome in (ask(engine, "fine").result(), ask(engine, "fine").result())} == {"ok"}
    for name, (status, words) in POISONS.items():
        neighbour = ask(engine, "fine")
        outcome = ask(engine, name, deadline_s=0.5).result()
        assert outcome.status == status, (name, outcome)
        assert outcome.reason is not None
        assert re.search(words, outcome.reason), (name, outcome)
        assert neighbour.result().status == "ok", name


def test_a_deadline_kills_within_a_second(local: Engine) -> None:
    ask(local, "fine").result()
    began = time.monotonic()
    outcome = ask(local, "loop", deadline_s=0.5).result()
    took = time.monotonic() - began
    assert outcome.status == "timeout"
    assert 0.5 <= took < 1.5


def test_a_child_lives_on_between_candidates_and_is_replaced_after_an_error() -> None:
    with closing(open_engine(None, devices="cpu", workers=1)) as engine:
        notes = [ask(engine, name).result().notes for name in ("once", "once", "error", "once")]
    assert [note.get("calls") for note in notes] == [1, 2, None, 1]
    assert notes[0]["pid"] == notes[1]["pid"] != notes[3]["pid"]


def test_a_child_sees_its_own_device_only() -> None:
    for slot, seen in ((DeviceSlot("cpu", 3), ("", "3")), (DeviceSlot("GPU-1234", 1), ("GPU-1234", "1"))):
        children = ChildPool([slot])
        with children.lend(alone=False) as child:
            notes = child.call(EVALUATE, (job("fine"),), deadline_s=30).notes
        children.close()
        assert (notes["cuda"], notes["threads"]) == seen


def test_many_deaths_leave_no_process_no_descriptor_and_no_memory(local: Engine) -> None:
    mine = psutil.Process()
    names = [name for name in POISONS if name not in ("loop", "allocate")]

    def rounds(count: int) -> None:
        wait([ask(local, name) for _ in range(count) for name in names])

    others = len(mine.children())
    rounds(1)
    descriptors, memory = mine.num_fds(), mine.memory_info().rss
    rounds(3)
    wait([ask(local, "fine") for _ in range(100)])
    ask(local, "fine").result()
    assert mine.num_fds() <= descriptors + 6  # three of each child; at the first count both may have been dead
    assert len(mine.children()) <= others + 2  # a child in each slot
    assert mine.memory_info().rss - memory < 20e6


def test_no_child_outlives_its_master(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    os.mkfifo(tmp_path / "go")
    settings = json.dumps({"started": str(tmp_path / "started"), "go": str(tmp_path / "go")})
    code = f"""
from evolver.workers.executors import open_engine
from evolver.workers.pool import perform
from tests.evolver.workers.test_pool import EVALUATE, job
engine = open_engine(None, devices="cpu", workers=1)
engine.executor.submit(perform, EVALUATE, job("wait", {settings!r}), 60).result()
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT))) as master:
        child = psutil.Process(int((tmp_path / "started").read_text()))
        assert child.is_running()
        master.kill()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive


def test_a_job_whose_worker_is_killed_from_outside_is_lost_and_the_next_one_fine(tmp_path: Path, local: Engine) -> None:
    os.mkfifo(tmp_path / "started")
    settings = json.dumps({"started": str(tmp_path / "started"), "go": str(tmp_path / "started")})
    future = local.executor.submit(perform, EVALUATE, job("wait", settings), 60)
    os.kill(int((tmp_path / "started").read_text()), signal.SIGKILL)
    assert future.result() == Outcome("lost", "its process was killed from outside (SIGKILL)")
    pid = ask(local, "fine").result().notes["pid"]
    os.kill(pid, signal.SIGKILL)  # idle
    # the death may be seen only when the next job comes, which is then lost, and is run again by the search
    assert [ask(local, "fine").result().status for _ in range(4)].count("ok") >= 3


def test_a_measurement_has_its_device_alone(tmp_path: Path, local: Engine) -> None:
    for name in ("started", "go"):
        os.mkfifo(tmp_path / name)
    settings = json.dumps({"started": str(tmp_path / "started"), "go": str(tmp_path / "go")})
    training = local.executor.submit(perform, EVALUATE, job("wait", settings), 60)
    (tmp_path / "started").read_text()
    measuring = local.executor.submit(perform, EVALUATE, job("fine", task="measure"), 60)
    third = ask(local, "fine")
    done, _ = wait([measuring, third], timeout=0.3)
    assert not done  # the training still runs, so the measurement waits, and what comes after it too
    (tmp_path / "go").write_text("")
    assert [future.result(timeout=30).status for future in (training, measuring, third)] == ["ok"] * 3


def test_closing_ends_running_jobs_at_once(tmp_path: Path) -> None:
    before = psutil.Process().children()
    engine = open_engine(None, devices="cpu", workers=2)
    ask(engine, "fine").result()
    futures = [ask(engine, "loop", deadline_s=60) for _ in range(2)]
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 2
    assert {outcome_of(future).status for future in futures} == {"lost"}
    # killed processes may stand for a moment on a busy machine
    _, alive = psutil.wait_procs([child for child in psutil.Process().children() if child not in before], timeout=30)
    assert not alive


def test_a_data_set_that_is_of_no_use_gives_one_line(local: Engine) -> None:
    assert local.executor.submit(look_up, "tests.evolver.poison:survey", "{}").result().dataset == "toy"
    with pytest.raises(EvolverError, match=r"^digits: every image has the same class; name a data set with two or more$"):
        local.executor.submit(look_up, "tests.evolver.poison:survey", "bad").result()


def test_a_worker_without_torch_says_what_to_install(local: Engine) -> None:
    with pytest.raises(EvolverError, match=r"No module named 'no_such_module'.*pip install 'ecosel\[torch\]'"):
        local.executor.submit(look_up, "no_such_module:survey", "{}").result()


def test_a_search_runs_on_a_cluster(cluster: tuple[Engine, list[subprocess.Popen[bytes]]], tmp_path: Path) -> None:
    answer = session.evolve(request_of_toy(tmp_path / "run.db", begun=tmp_path / "begun"), WORK, cluster[0], progress="quiet")
    assert (answer["births"], answer["unfinished"], answer["ended"]) == (30, 0, "30 births")
    assert len({line.split()[2] for line in (tmp_path / "begun").read_text().splitlines()}) == 2  # a child on each node


def test_a_dask_node_that_dies_loses_nothing(cluster: tuple[Engine, list[subprocess.Popen[bytes]]], tmp_path: Path) -> None:
    engine, nodes = cluster
    for name in ("started", "go"):
        os.mkfifo(tmp_path / name)
    settings = json.dumps({"started": str(tmp_path / "started"), "go": str(tmp_path / "go")})
    running = engine.executor.submit(perform, EVALUATE, job("wait", settings), 60)
    child = psutil.Process(int((tmp_path / "started").read_text()))
    node = next(node for node in nodes if node.pid in [parent.pid for parent in child.parents()])
    behind = [ask(engine, "fine") for _ in range(6)]
    os.killpg(node.pid, signal.SIGKILL)
    for process in psutil.Process(node.pid).children(recursive=True) if psutil.pid_exists(node.pid) else []:
        process.kill()
    node.wait()
    # the scheduler gives the job to the other node
    assert psutil.Process(int((tmp_path / "started").read_text())).pid != child.pid
    (tmp_path / "go").write_text("")
    assert running.result(timeout=60).status == "ok"
    assert [future.result(timeout=60).status for future in behind] == ["ok"] * 6


def test_any_executor_of_a_factory_serves() -> None:
    with closing(open_engine("tests.evolver.workers.test_pool:threads", devices="auto", workers=2)) as engine:
        assert ask(engine, "fine").result().status == "ok"
        assert ask(engine, "segfault").result().status == "crash"


def threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


def no_executor() -> str:
    return "nothing"


@pytest.mark.parametrize(
    ("executor", "devices", "workers", "words"),
    [
        (None, "cpu", 0, "--workers is 0; there must be at least 1"),
        (None, "tpu", None, "there is no device 'tpu'; this machine has cpu and"),
        (None, "99", None, "there is no device '99'"),
        (None, "cpu,cpu", None, "name each device only once"),
        ("nonsense", "auto", 1, "must be dask:ADDRESS, a scheduler.json or module:factory"),
        ("no.such.module:factory", "auto", 1, "No module named 'no'"),
        ("tests.evolver.workers.test_pool:threads", "auto", None, "needs --workers N"),
        ("tests.evolver.workers.test_pool:no_executor", "auto", 1, "gave a str; it must give a concurrent.futures.Executor"),
    ],
)
def test_workers_that_cannot_be_are_refused(executor: str | None, devices: str, workers: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_engine(executor, devices=devices, workers=workers)


def test_slots_on_the_cpu_share_its_cores_and_a_gpu_has_one() -> None:
    many = cpu_slots(1000)
    assert len(many) == 1000
    assert {slot.threads for slot in many} == {1}


def test_a_gpu_is_named_by_number_or_by_the_beginning_of_its_uuid_and_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = Machine("570", (Board(0, "GPU-aa11", "A100", "00", False, ()), Board(1, "GPU-bb22", "A100", "01", False, ())))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [place(device, boards) for device in ("cpu", "1", "GPU-aa11", "GPU-bb")] == ["cpu", "GPU-bb22", "GPU-aa11", "GPU-bb22"]
    for device in ("GPU-cc33", "MIG-aa11", "2", "tpu"):
        with pytest.raises(ValueError, match=rf"no device '{device}'; this machine has cpu and 2 GPUs, 0: GPU-aa11, 1: GPU-bb22"):
            place(device, boards)
    with pytest.raises(ValueError, match=r"no device 'GPU-aa11'; this machine has cpu and 0 GPUs"):
        place("GPU-aa11", None)


def test_a_factory_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from concurrent.futures import ThreadPoolExecutor\n\ndef pool():\n    return ThreadPoolExecutor(1)\n"
    (tmp_path / "pools_of_a_site.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    with closing(open_engine("pools_of_a_site:pool", devices="auto", workers=3)) as engine:
        assert engine.capacity() == 4


def test_a_factory_that_fails_gives_one_line() -> None:
    with pytest.raises(EvolverError, match=r"--executor json:dumps failed \(TypeError: dumps\(\) missing 1"):
        open_engine("json:dumps", devices="auto", workers=1)
