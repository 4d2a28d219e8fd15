"""Run every step in turn within a time limit; save the results after each, and continue after a failure."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from profilers.measuring.settings import Plan
from tests.benchmarks.gpu.beside import running
from tests.benchmarks.gpu.beside.board import Board, rest
from tests.benchmarks.gpu.beside.models import BATCH, TORCHVISION, Network, network, settings_of
from tests.benchmarks.gpu.beside.tools import (
    TOOLS,
    Place,
    Tool,
    Window,
    cold_start,
    keep_sampling,
    stand_by_for_codecarbon,
    versions,
)

T = TypeVar("T")
TRACES = "beside-traces.tar"
_LAST_S = 3.0  # reserved for the end
_PLAN = Plan(ci=0.01, min_s=2.0, max_s=3.0, warm_up_s=0.8, flat_s=0.5, idle_s=0.4, group_s=0.3)
_TINY = Plan(ci=0.05, min_s=0.4, max_s=0.8, warm_up_s=0.2, flat_s=0.1, idle_s=0.1, group_s=0.1)


@dataclass(frozen=True)
class Sizes:
    """How long each part takes and how often it is repeated."""

    starts: int = 2
    loop_s: float = 1.0
    short_s: tuple[float, ...] = (0.3, 1.0)
    trials: int = 8
    short_most_s: float = 65.0
    long_s: float = 4.0
    rest_s: float = 1.5
    visits: int = 5
    plan: Plan = _PLAN

    @classmethod
    def quick(cls) -> Sizes:
        return cls(1, 0.15, (0.1,), 2, 10.0, 0.5, 0.3, 1, _TINY)


class Session:
    """One run: its clock, its record, and the file that is written after every step."""

    def __init__(self, out: Path, place: Place, sizes: Sizes, *, seconds: float) -> None:
        self._out, self._place, self._sizes = out, place, sizes
        self._begin_s = time.perf_counter()
        self._end_s = self._begin_s + seconds - _LAST_S
        self._rng = np.random.default_rng(18)
        self._took: dict[str, float] = {}
        self._record: dict[str, Any] = {
            "command": [Path(sys.executable).name, "-m", "tests.benchmarks.gpu.beside", *sys.argv[1:]],
            "date": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": seconds, "batch": BATCH, "device": place.device,
            "sizes": {**vars(sizes), "plan": vars(sizes.plan)}, "versions": versions(), "cores": os.cpu_count(),
            "notes": [], "starts": [], "loops": [], "profiles": [], "alone": [], "short": [], "long": None, "skipped": [], "errors": [],
        }  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        (out / TRACES).unlink(missing_ok=True)  # from an earlier run; the traces of this one are appended one by one

    @property
    def left_s(self) -> float:
        return self._end_s - time.perf_counter()

    def run(self, names: Sequence[str] | None, *, evolved: tuple[Path, ...]) -> None:
        note = stand_by_for_codecarbon()
        self._record["notes"] += [note] if note else []
        board = self._step("board", Board)
        if board is None:
            self._save("ended: NVML cannot be opened")
            return
        self._record["machine"] = board.facts()
        for _ in range(self._sizes.starts):
            for name in TOOLS:
                self._start(name)
        with tempfile.TemporaryDirectory() as folder:
            self._measure(board, self._networks(names, Path(folder), evolved))
        self._record["took_s"] = time.perf_counter() - self._begin_s
        self._save("ended")

    def _start(self, name: str) -> None:
        found = self._step(f"start {name}", partial(cold_start, name, self._place))
        self._record["starts"] += [found] if found else []

    def _networks(self, names: Sequence[str] | None, folder: Path, evolved: tuple[Path, ...]) -> list[Network]:
        found = []
        for name in names or [*TORCHVISION, *(path.stem for path in evolved)]:

            def opened(name: str = name) -> Network:
                settings = settings_of(name, folder, self._place, self._sizes.plan, evolved=evolved)
                return network(settings, name)

            one = self._step(f"open {name}", opened)
            found += [one] if one else []
        return found

    def _measure(self, board: Board, networks: Sequence[Network]) -> None:
        tools: list[Tool] = []
        for name, kind in TOOLS.items():
            make: Callable[[], Tool] = partial(kind, self._place)
            tool = self._step(f"make {name}", make)
            tools += [tool] if tool else []
        idle_w = self._step("idle", lambda: rest(board, self._sizes.rest_s)) or 0.0
        self._record["idle_w"] = idle_w
        for visit in range(1, self._sizes.visits + 1):
            if visit > 2 and self._record["skipped"]:
                break
            for place, one in enumerate(networks):
                turn = (place + visit) % max(1, len(tools))
                self._visit(one, [*tools[turn:], *tools[:turn]], board, visit=visit, idle_w=idle_w)
            if visit == 1 and networks and self.left_s > 0:
                self._short(networks[0], tools, board, idle_w=idle_w)

    def _visit(self, one: Network, tools: Sequence[Tool], board: Board, *, visit: int, idle_w: float) -> None:
        def loops() -> None:
            seconds, rng = self._sizes.loop_s, self._rng
            for found in running.block(one, tools, board, rng, seconds=seconds, visit=visit, idle_w=idle_w):
                self._record["loops"].append(found)

        def profile() -> None:
            self._record["profiles"].append(running.profiled(one, self._out / TRACES, visit))

        first = 1.0 if visit == 1 else 0.6  # a later visit has half the loops
        steps = [(f"loops {one.name}", loops, first), (f"profile {one.name}", profile, 1.0)]
        for name, step, share in steps if visit % 2 else steps[::-1]:
            needed_s = share * self._took.get(name, 0.0)
            if self.left_s <= needed_s:
                self._record["skipped"].append(f"visit {visit}, {name}: {needed_s:.0f} s needed, {self.left_s:.0f} s left")
                continue
            self._step(name, step, visit)

    def _short(self, one: Network, tools: Sequence[Tool], board: Board, *, idle_w: float) -> None:
        sizes, until_s, rng = self._sizes, time.perf_counter() + min(self._sizes.short_most_s, self.left_s), self._rng

        def series(seconds: float) -> None:
            with keep_sampling(self._place):
                found = running.short_loops(
                    one, tools, board, rng, seconds=seconds, trials=sizes.trials, rest_s=sizes.rest_s, until_s=until_s
                )
            self._record["short"].append(found)

        def alone(seconds: float) -> None:
            found = running.loop(one, one.batches(seconds), Window(self._place), board, rng)
            self._record["alone"].append({"wanted_s": seconds, **found})

        def long() -> None:
            self._record["long"] = running.long_loop(one, board, seconds=sizes.long_s, idle_w=idle_w)

        self._step("long loop", long)
        for seconds in sizes.short_s:
            self._step(f"window alone, {seconds:g} s", partial(alone, seconds))
            self._step(f"short loops of {seconds:g} s", partial(series, seconds))

    def _step(self, name: str, work: Callable[[], T], visit: int = 0) -> T | None:
        """Run one step; record how long it took, and the traceback if it fails."""
        begin_s, found = time.perf_counter(), None
        try:
            found = work()
            outcome = "done"
        except Exception as error:
            outcome = f"FAILED: {type(error).__name__}: {str(error)[:200]}"
            self._record["errors"].append({"step": name, "visit": visit, "traceback": traceback.format_exc()})
        took_s = time.perf_counter() - begin_s
        self._took.setdefault(name, took_s)
        self._save(f"{name}{f', visit {visit}' if visit else ''}: {outcome} in {took_s:.1f} s")
        return found

    def _save(self, words: str) -> None:
        print(f"{time.perf_counter() - self._begin_s:6.1f} s  {words}", flush=True)
        part = self._out / "beside.json.part"
        part.write_text(json.dumps(self._record, indent=1, default=str) + "\n")
        part.replace(self._out / "beside.json")
