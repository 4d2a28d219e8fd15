"""Run commands within a time limit, watch the GPU meanwhile, and keep the files that they write."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).parents[4]
_NOTICE_S, _LAST_NOTICE_S = 6.0, 3.0  # seconds before the end of a step: first start no new work, then stop at once
_PACK_S = 20.0


@dataclass
class Watch:
    """Samples of the board every 100 ms (utilisation, power, energy counter, memory), or the reason why there are none."""

    device: str
    samples: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    step: str = ""
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        if self.device == "cpu":
            self.reason = "the run is on the processor"
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(int(self.device))
            self.samples.append(_sample(handle))
        except Exception as error:
            self.reason = f"NVML: {error}"
            return
        threading.Thread(target=self._run, args=(handle,), daemon=True).start()

    def _run(self, handle: Any) -> None:
        while not self._end.wait(0.1):
            self.samples.append({"step": self.step, **_sample(handle)})

    def stop(self) -> None:
        self._end.set()


def _sample(handle: Any) -> dict[str, Any]:
    import pynvml

    def value(read: Callable[[], float]) -> float | None:
        try:
            return read()
        except pynvml.NVMLError:
            return None

    return {
        "time": time.time(),
        "busy": value(lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
        "power_w": value(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        "energy_j": value(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
        "memory_bytes": value(lambda: float(pynvml.nvmlDeviceGetMemoryInfo(handle).used)),
        "sm_mhz": value(lambda: float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))),
    }


@dataclass
class Course:
    """One campaign: its folders, its clock, and the record that becomes campaign.json."""

    out: Path
    work: Path
    began: float
    watch: Watch
    record: dict[str, Any]
    pack: Callable[[], None] = lambda: None

    def say(self, text: str) -> None:
        line = f"[{time.monotonic() - self.began:6.1f} s] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a") as log:
            log.write(line + "\n")

    def save(self) -> None:
        """Write the record, the samples and the archives in their present state; a failure here must not end the campaign."""
        try:
            text = json.dumps(self.record, indent=1, default=str)
            _replace(self.out / "campaign.json", lambda path: path.write_text(text + "\n"))
            if self.watch.samples:
                frame = pl.DataFrame(list(self.watch.samples), infer_schema_length=None)
                _replace(self.out / "gpu.parquet", lambda path: frame.write_parquet(path))
            self.pack()
        except Exception:
            self.say(f"could not pack:\n{traceback.format_exc()}")

    @contextmanager
    def step(self, name: str, end_s: float) -> Iterator[dict[str, Any]]:
        """Record when a step ran and whether it failed; the campaign continues."""
        found: dict[str, Any] = {"begin": time.time(), "budget_s": round(end_s - (time.monotonic() - self.began), 1)}
        self.record["steps"][name] = found
        self.watch.step = name
        self.say(f"--- {name}: until {end_s:.0f} s")
        try:
            yield found
        except Exception:
            found["failed"] = traceback.format_exc()
            self.say(found["failed"])
        found["end"] = time.time()
        self.watch.step = ""
        self.save()

    def run(self, found: dict[str, Any], commands: Sequence[Sequence[str]], end_s: float) -> None:
        """Run commands of ecosel side by side until they end; shortly before `end_s` send SIGTERM twice, then SIGKILL at `end_s`."""
        children = [self._start(command) for command in commands]
        notices, packed = 0, time.monotonic()
        while any(child.poll() is None for child, _ in children):
            left_s = end_s - (time.monotonic() - self.began)
            if left_s <= (_NOTICE_S, _LAST_NOTICE_S, 0.0)[notices]:
                found.setdefault("stopped_at", time.time())
                _signal([child for child, _ in children], kill=notices == 2)
                notices = min(notices + 1, 2)
            if time.monotonic() - packed > _PACK_S:
                self.save()
                packed = time.monotonic()
            time.sleep(0.1)
        for (child, log), command in zip(children, commands, strict=True):
            tail = log.read_text(errors="replace").splitlines()[-60:]
            done = {"command": shown(command), "status": child.returncode, "output": tail[-12:]}
            found.setdefault("commands", []).append(done)
            self.say(f"status {child.returncode}: {shown(command)}\n" + "\n".join(f"    {line}" for line in tail[-12:]))

    def _start(self, command: Sequence[str]) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.work / f"command-{len(list(self.work.glob('command-*')))}.txt"
        paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "ecosel", *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                cwd=self.work, env=environment, start_new_session=True,
            )  # fmt: skip
        return child, log


def shown(command: Sequence[str]) -> str:
    return " ".join(["ecosel", *command])


def _signal(children: Sequence[subprocess.Popen[bytes]], *, kill: bool) -> None:
    for child in children:
        if child.poll() is None:
            with suppress(ProcessLookupError):
                if kill:
                    os.killpg(child.pid, signal.SIGKILL)
                else:
                    child.send_signal(signal.SIGTERM)


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    part = path.with_name(f"part-{path.name}")
    write(part)
    os.replace(part, path)


def copy_archive(source: Path, target: Path) -> None:
    """Copy an archive, even while a search is writing to it, into one small file."""
    if not source.exists():
        return

    def write(path: Path) -> None:
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(path)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("VACUUM")

    _replace(target, write)
