"""Let the wall clock jump under a command, or pause the whole command, as a sleeping machine does."""

from __future__ import annotations

import json
import mmap
import random
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.faults.commands import ECOSEL, Command, clear_line, commands, inputs, run, wrongs
from tests.conftest import environment

# Adds the seconds in a shared file to the wall clock, and leaves the monotonic one alone.
SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *offset_s;
__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY);
    offset_s = mmap(0, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset_s;
    return status;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec, now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""
# in seconds: a day, ten years, a second, and back
JUMPS_S = (86_400, -86_400, 315_360_000, -315_360_000, 1, -1, 3600, -3600)
PAUSE_S = 3.0
Running = subprocess.Popen[str]
Fault = Callable[[random.Random, Path, Running], None]


def clock(times: int, only: str) -> None:
    """Run commands whose clock jumps or which are paused: no negative time, no end in a traceback, no wrong figure unmarked."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs, clock_file = Path(name), Path(name) / "outputs", Path(name) / "clock"
        inputs(folder)
        clock_file.write_bytes(bytes(8))
        subprocess.run(["gcc", "-shared", "-fPIC", "-xc", "-", "-o", folder / "shim.so"], input=SHIM, text=True, check=True)
        faked = {"LD_PRELOAD": str(folder / "shim.so"), "CLOCK_OFFSET": str(clock_file)}
        faults: dict[str, tuple[Fault, dict[str, str]]] = {"jumps": (_jumps, faked), "paused": (_pauses, {})}
        for title, command in commands(folder, outputs, only or "profile|evolve|energy").items():
            for fault, (meet, extra) in faults.items():
                found, rng = Counter[str](), random.Random(5)
                for _ in range(times):
                    outputs.mkdir()
                    found.update(_met(command, outputs, partial(meet, rng, clock_file), extra))
                    subprocess.run(["rm", "-r", outputs], check=True)
                print(f"{title}, {fault}, {times} times: {dict(sorted(found.items()))}", flush=True)


def _jumps(rng: random.Random, clock_file: Path, running: Running) -> None:
    with clock_file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as offset_s:
        while running.poll() is None:
            time.sleep(rng.uniform(0.2, 1.0))
            offset_s[:] = rng.choice(JUMPS_S).to_bytes(8, "little", signed=True)
        offset_s[:] = bytes(8)


def _pauses(rng: random.Random, clock_file: Path, running: Running) -> None:
    time.sleep(rng.uniform(1.0, 4.0))
    for number in (signal.SIGSTOP, signal.SIGCONT):
        if running.poll() is None:
            running.send_signal(number)
            time.sleep(PAUSE_S)


def _met(command: Command, outputs: Path, meet: Callable[[Running], None], extra: dict[str, str]) -> Iterator[str]:
    began = time.monotonic()
    with subprocess.Popen(
        command.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(OMP_NUM_THREADS="1", **extra)
    ) as running:
        fault = threading.Thread(target=meet, args=(running,))
        fault.start()
        _, error = running.communicate()
        fault.join()
    took_s = time.monotonic() - began
    yield f"status {running.returncode}"
    if running.returncode:
        yield f"said: {error.strip()[-150:]}" if clear_line(error) else f"NO CLEAR LINE {error[-300:]}"
    yield from wrongs(outputs)
    if (trace := outputs / "trace.parquet").exists() and run([*ECOSEL, "profile", "--verify", str(trace)]).returncode:
        yield "NOT VERIFIED"
    for row in _rows(command.archive):
        negative = [key for key, value in row.items() if key.endswith(("_s", "_j", "_w")) and value is not None and value < 0]
        yield from (f"NEGATIVE {key}" for key in negative)
        if (row.get("train_time_s") or 0.0) > took_s:
            yield f"TOO LONG {row['train_time_s']}"
        if row.get("latency_p50_s") is not None and (rate := row["throughput_per_s"]):
            yield f"{row['status']}, {10 ** round(np.log10(rate)):,} images/s"
    if command.resumes and command.archive is not None and command.archive.exists():
        drawn = run([*ECOSEL, "report", str(command.archive), "--force", "-o", str(outputs / "page.html")])
        if drawn.returncode:
            yield f"report: {drawn.stderr.strip()[-100:]}"


def _rows(archive: Path | None) -> list[dict[str, Any]]:
    if archive is None or not archive.exists():
        return []
    if archive.suffix == ".ndjson":
        return [json.loads(line) for line in archive.read_text().splitlines()]
    with closing(sqlite3.connect(archive)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM archive")]
