"""Take the folder of the outputs away at a random moment of a command: removed, moved, forbidden, or on a disk that dies."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.faults.commands import Command, clear_line, commands, inputs, names, run, wrongs
from tests.benchmarks.faults.disks import allow, die, forbid, loop_disk
from tests.conftest import environment


def _removed(outputs: Path) -> None:
    shutil.rmtree(outputs, ignore_errors=True)


def _moved(outputs: Path) -> None:
    outputs.rename(outputs.with_name("moved"))


FAULTS: dict[str, Callable[[Path], None]] = {"removed": _removed, "moved": _moved, "forbidden": forbid, "dead": die}


def folders(times: int, only: str) -> None:
    """Meet each command with each fault; half of the times it is there before the command, or at a random moment of it."""
    with tempfile.TemporaryDirectory() as name:
        folder, mounted = Path(name), Path(name) / "disk"
        inputs(folder)
        for title, command in commands(folder, mounted / "outputs", only).items():
            with loop_disk(mounted):
                (mounted / "outputs").mkdir()
                begin = time.monotonic()
                first = run(command.words)
                took_s = time.monotonic() - begin
                if first.returncode:
                    raise SystemExit(f"fails without a fault: {first.stderr[-500:]}")
            for fault in FAULTS:
                found, rng = Counter[str](), random.Random(4)
                for turn in range(times):
                    after_s = 0.0 if turn == 0 else rng.uniform(0, took_s)
                    said = _met(command, mounted, fault, after_s)
                    found.update(said)
                    if wrong := [one for one in said if one[0].isupper()]:
                        print(f"{title}, {fault} after {after_s:.1f} of {took_s:.1f} s: {wrong}", flush=True)
                print(f"{title}, {fault} {times} times within {took_s:.1f} s: {dict(sorted(found.items()))}", flush=True)


def _met(command: Command, mounted: Path, fault: str, after_s: float) -> list[str]:
    outputs = mounted / "outputs"
    with loop_disk(mounted):
        outputs.mkdir()
        if after_s == 0.0:
            FAULTS[fault](outputs)
        with subprocess.Popen(
            command.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(OMP_NUM_THREADS="1"), text=True
        ) as running:
            if after_s:
                time.sleep(after_s)
                FAULTS[fault](outputs)
            _, error = running.communicate()
        said = [f"status {running.returncode}"]
        if running.returncode and not clear_line(error):
            said.append(f"NO CLEAR LINE {error[-400:]}")
        if running.returncode:
            said.append(f"said: {(error.strip().splitlines() or [''])[-1].replace(str(outputs), '')[:160]}")
        if fault == "dead":
            return said
        allow(mounted)
        elsewhere = [file.name for file in mounted.iterdir() if file.name not in ("outputs", "moved", "lost+found")]
        said += [f"ELSEWHERE {name}" for name in elsewhere] + list(wrongs(mounted))
        if running.returncode == 0 and command.archive and fault in ("removed", "forbidden") and not names(command.archive):
            said.append("MISSING row though status 0")
    return said
