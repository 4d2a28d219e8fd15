"""Run steps within a time limit, and save the results after each: a report in JSON, recordings in one tar file."""

from __future__ import annotations

import io
import json
import tarfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import polars as pl

from profilers.energy.readings import Floats
from profilers.errors import MeterError
from profilers.meters.nvml.opening import open_meter
from tests.benchmarks.gpu.board.polling import Poller, frame_of
from tests.benchmarks.gpu.board.recordings import Recording

T = TypeVar("T")
Loads = list[tuple[float, float]]  # on_s, off_s


class Run:
    """The clock and the report of a run; a step that fails leaves its traceback in the report and does not end the run."""

    def __init__(self, out: Path, seconds: float, command: list[str]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.origin_s = out, time.monotonic()
        self._end_s = self.origin_s + seconds
        self.report: dict[str, Any] = {
            "command": command,
            "seconds": seconds,
            "origin_s": self.origin_s,
            "steps": {},
            "recordings": {},
        }
        (out / "board.tar").unlink(missing_ok=True)

    @property
    def left_s(self) -> float:
        return self._end_s - time.monotonic()

    def say(self, words: str) -> None:
        print(f"{time.monotonic() - self.origin_s:7.1f} s  {words}", flush=True)

    def step(self, name: str, needs_s: float, work: Callable[[], T]) -> T | None:
        began_s, found = time.monotonic(), None
        steps = self.report["steps"]
        if self.left_s < needs_s:
            self.say(f"{name}: left out, {self.left_s:.0f} s are too few")
            steps[name] = {"found": None, "reason": f"left out: {self.left_s:.0f} s were left, {needs_s:g} s are needed"}
        else:
            self.say(name)
            try:
                found = work()
                kept = found if isinstance(found, dict | list) else None
                steps[name] = {"found": kept, "took_s": round(time.monotonic() - began_s, 2)}
            except Exception as error:
                self.say(f"{name} failed: {type(error).__name__}: {error}")
                steps[name] = {"found": None, "reason": str(error), "traceback": traceback.format_exc()}
        self.save()
        return found

    def save(self) -> None:
        partial = self.out / "board.json.partial"
        partial.write_text(json.dumps(self.report, indent=1, default=str))
        partial.replace(self.out / "board.json")

    def keep(self, name: str, frame: pl.DataFrame) -> None:
        """Append a table to the tar file."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", compression_level=19)
        with tarfile.open(self.out / "board.tar", "a") as tar:
            member = tarfile.TarInfo(f"{name}.parquet")
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)


class Recorder:
    """Records the board from another process while this one runs loads; a poller that fails is replaced."""

    def __init__(self, run: Run, spec: str) -> None:
        self._run, self._spec = run, spec
        self._poller: Poller | None = None
        self._meter = open_meter(spec.partition(":")[2], "cuda")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        self._meter.close()

    def record(self, name: str, work: Callable[[Loads], None]) -> Recording:
        """Record while `work` runs; keep the recording and the loads that `work` lists, even if it fails."""
        if self._poller is None:
            self._poller = Poller(self._spec)
            self._run.report["cost of one call"] = self._poller.costs
        loads: Loads = []
        before = asdict(self._meter.conditions())
        self._poller.start()
        try:
            work(loads)
        finally:
            after = asdict(self._meter.conditions())
            rows, cost = self._stopped(self._poller)
            self._run.report["recordings"][name] = {
                "rows": len(rows), "loads": len(loads), "polling": cost, "before": before, "after": after,
            }  # fmt: skip
            origin_s = self._run.origin_s
            self._run.keep(name, frame := frame_of(rows, origin_s))
            ends = {key: [round(load[at] - origin_s, 6) for load in loads] for at, key in enumerate(("on_s", "off_s"))}
            times = pl.DataFrame(ends, schema={"on_s": pl.Float64, "off_s": pl.Float64})
            self._run.keep(f"{name}.loads", times)
            self._run.say(f"{name}: {cost.get('polls')} polls, {len(rows)} rows, {len(loads)} loads")
            self._run.save()
        return Recording(frame, times.to_numpy())

    def _stopped(self, poller: Poller) -> tuple[Floats, dict[str, Any]]:
        try:
            return poller.stop()
        except (MeterError, OSError, EOFError):
            self._close()
            raise

    def _close(self) -> None:
        if self._poller is not None:
            self._poller.__exit__(None, None, None)
            self._poller = None
