"""Send a signal at a random moment of a command."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.faults.commands import Command, commands, inputs, processes_of, wrongs
from tests.conftest import environment

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT)
# exit status: as asked, one line of the command's own, what `evolve` documents for job scripts (130, 143), or the signal
STATUSES = {0, 1, 130, 143, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGPIPE, -signal.SIGINT}


@dataclass(frozen=True)
class _Ran:
    pid: int
    returncode: int
    said: str


def signals(times: int, only: str) -> None:
    """Send a signal at a random moment of a command; its files are absent or whole, and no process of it is left."""
    with tempfile.TemporaryDirectory() as name:
        folder, outputs = Path(name), Path(name) / "outputs"
        outputs.mkdir()
        inputs(folder, 20_000)
        for title, command in commands(folder, outputs, only).items():
            began = time.monotonic()
            subprocess.run(command.words, check=True, capture_output=True, env=environment())
            took_s = time.monotonic() - began
            found, rng = Counter[str](), random.Random(2)
            for turn in range(times):
                shutil.rmtree(outputs)
                outputs.mkdir()
                number = SIGNALS[turn % len(SIGNALS)]
                run = _signalled(command, rng.uniform(0, 1.1 * took_s), number)
                found[f"status {run.returncode}"] += 1
                found["CHILD LEFT"] += _group_is_there(run.pid)
                found["ANOTHER STATUS"] += run.returncode not in STATUSES
                wrong = list(wrongs(outputs))
                found.update(wrong)
                if run.returncode not in (0, 130, 143, -number) or wrong:
                    print(f"{title}, {number.name}: {run.returncode}, {wrong}: {run.said[-300:]!r}", flush=True)
            print(f"{title}: {times} signals over {took_s:.1f} s: {dict(sorted(found.items()))}", flush=True)


def _signalled(command: Command, after_s: float, number: signal.Signals) -> _Ran:
    """Run a command in a session of its own, and send it a signal."""
    with subprocess.Popen(
        command.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True, text=True
    ) as run:
        time.sleep(after_s)
        run.send_signal(number)
        _, said = run.communicate()
    return _Ran(run.pid, run.returncode, said)


def _group_is_there(group: int) -> bool:
    """Tell whether a process of a group still runs two seconds after its first one ended."""
    for _ in range(20):
        if not processes_of(group):
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True
