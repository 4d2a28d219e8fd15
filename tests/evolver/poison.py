"""What a worker may be asked to survive, each named by the genome of its job."""

from __future__ import annotations

import ctypes
import json
import os
import threading
import time
from typing import Any

import numpy as np

from evolver.jobs import Job, Outcome, Survey


class DataError(Exception):
    """As the one of profilers, which is told by its name."""


def evaluate(job: Job) -> Any:
    return globals()[f"_{job.genome}"](job)


def survey(settings: str) -> Survey:
    if settings == "bad":
        raise DataError("digits: every image has the same class; name a data set with two or more")
    return Survey("toy", (1, 8, 8), 10, {"train": 1}, "cpu", {"pid": str(os.getpid())})


def _fine(job: Job) -> Outcome:
    return Outcome(
        "ok",
        accuracy=0.5,
        notes={"pid": os.getpid(), "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ.get("OMP_NUM_THREADS")},
    )


def _segfault(job: Job) -> Outcome:
    ctypes.string_at(0)
    return Outcome("ok", accuracy=0.5)


def _leave(job: Job) -> Outcome:
    os._exit(0)


def _loop(job: Job) -> Outcome:
    ctypes.PyDLL(None).pause()  # in C, holding the interpreter's lock: no Python code runs meanwhile, no thread either
    return Outcome("ok", accuracy=0.5)


def _allocate(job: Job) -> Outcome:
    np.ones(100 * 2**30, dtype=np.uint8)
    return Outcome("ok", accuracy=0.5)


def _nan(job: Job) -> Outcome:
    return Outcome("ok", accuracy=float("nan"))


def _unpicklable(job: Job) -> Any:
    return lambda: None


def _lock(job: Job) -> Any:
    return threading.Lock()


def _wrong(job: Job) -> Any:
    return "a text"


def _error(job: Job) -> Outcome:
    raise RuntimeError("the layers\ndo not fit")


def _grandchild(job: Job) -> Outcome:
    if os.fork() == 0:
        while True:
            ctypes.PyDLL(None).pause()
    os._exit(3)


def _wait(job: Job) -> Outcome:
    """Say that it runs, then wait until the file that the settings name can be read to its end (a named pipe)."""
    where = json.loads(job.settings)
    with open(where["started"], "w", encoding="utf-8") as started:
        started.write(str(os.getpid()))
    with open(where["go"], encoding="utf-8") as go:
        go.read()
    return Outcome("ok", accuracy=0.5)


_COUNT = [0]


def _once(job: Job) -> Outcome:
    """Count the calls in this process."""
    _COUNT[0] += 1
    return Outcome("ok", accuracy=0.5, notes={"calls": _COUNT[0], "pid": os.getpid()})


def _second(job: Job) -> Outcome:
    """Take one second and no core; for the benchmark of throughput."""
    time.sleep(1)
    return Outcome("ok", accuracy=0.5)
