"""Run the loops of every network under each tool in turn, `ecosel profile`, and the short loops."""

from __future__ import annotations

import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profilers.measuring.profile import profile
from tests.benchmarks.gpu.beside.board import Board, between_ticks, rest
from tests.benchmarks.gpu.beside.models import Network
from tests.benchmarks.gpu.beside.tools import Tool

PAUSE_S = (0.05, 0.25)  # a random pause before each loop, so that it begins at any phase of the counter
IDLE_S = 0.6  # before a short loop under profilers.window
BARE = "bare"


def loop(
    network: Network, batches: int, tool: Tool, board: Board, rng: np.random.Generator, *, idle_s: float = 0.0
) -> dict[str, Any]:
    """Run a loop inside a tool's measurement; the counter is read just before and just after it."""
    time.sleep(idle_s + rng.uniform(*PAUSE_S))
    begin_s, failed = time.perf_counter(), None
    try:
        tool.begin()
    except Exception as error:  # one tool must not stop the others
        failed = f"{type(error).__name__}: {error}"
    before_j = board.energy_j()
    start_s = time.perf_counter()
    images = network.run(batches)
    end_s = time.perf_counter()
    after_j = board.energy_j()
    found: dict[str, Any] = {"model": network.name, "tool": tool.name, "images": images, "seconds": end_s - start_s}
    found |= {"counter_j": after_j - before_j, "joules": None, "low": None, "high": None, "begin_s": start_s - begin_s}
    try:
        tool.end()
        found["end_s"] = time.perf_counter() - end_s
        figure = tool.figure()
        found |= {"joules": figure.joules, "low": figure.low, "high": figure.high}
    except Exception as error:
        failed = failed or f"{type(error).__name__}: {error}"
    if failed:
        found["error"] = failed
    found["figure_s"] = time.perf_counter() - end_s
    return found | board.state()


def bare_loop(network: Network, batches: int, board: Board, rng: np.random.Generator, *, idle_w: float) -> dict[str, Any]:
    """Run the loop without a tool, from one tick of the counter to another: the reference."""
    time.sleep(rng.uniform(*PAUSE_S))
    found = between_ticks(board, lambda: network.run(batches), idle_w=idle_w)
    return {
        "model": network.name, "tool": BARE, "images": found.images, "seconds": found.seconds,
        "counter_j": found.counter_j, "joules": found.joules, "low": None, "high": None, **board.state(),
    }  # fmt: skip


def block(
    network: Network, tools: Sequence[Tool], board: Board, rng: np.random.Generator, *, seconds: float, visit: int, idle_w: float
) -> Iterator[dict[str, Any]]:
    """Run loops in the order bare, tools, tools in reverse, bare (ABBA for each tool); in later visits, bare and each tool once."""
    batches = network.batches(seconds)
    there = [None, *tools]
    order = [*there, *reversed(there)] if visit == 1 else there if visit % 2 else there[::-1]
    for position, tool in enumerate(order):
        one = loop(network, batches, tool, board, rng) if tool else bare_loop(network, batches, board, rng, idle_w=idle_w)
        yield {"visit": visit, "position": position, "batches": batches, **one}


def profiled(network: Network, traces: Path, visit: int) -> dict[str, Any]:
    """Measure with the function behind `ecosel profile`; add its trace to an archive of traces."""
    begin_s = time.perf_counter()
    result = profile(network.settings)
    wall_s = time.perf_counter() - begin_s
    with tempfile.TemporaryDirectory() as folder:
        name = f"{network.name}-{visit}.parquet"
        result.write_trace(Path(folder) / name)
        with tarfile.open(traces, "a") as archive:
            archive.add(Path(folder) / name, name)
    one = result.profile
    joules = one.energy.per_inference
    return {
        "model": network.name, "visit": visit, "tool": "profile", "wall_s": wall_s,
        "joules_per_image": joules.value if joules else None, "low": joules.low if joules else None,
        "high": joules.high if joules else None, "images_per_s": one.throughput.value,
        "measured_s": one.measured_s, "groups": one.groups, "status": one.status, "profile": one.to_dict(),
    }  # fmt: skip


def short_loops(
    network: Network,
    tools: Sequence[Tool],
    board: Board,
    rng: np.random.Generator,
    *,
    seconds: float,
    trials: int,
    rest_s: float,
    until_s: float,
) -> dict[str, Any]:
    """Measure one short loop after another with the tools in turn, and all of them with the counter.

    The true energy is the counter's over the whole series, less that in the pauses at the idle power (the mean of a rest before
    and one after the series); over a long series, ticks cause hardly any error. `profilers.window` gets idle time before its
    loops, as it needs it for short ones when it integrates power; another window, open over the whole series, records it.
    """
    batches = network.batches(seconds)
    before_w = rest(board, rest_s)
    start_s, start_j = board.tick()
    found: list[dict[str, Any]] = []
    for trial in range(trials):
        if time.perf_counter() > until_s:
            break
        turn = trial % max(1, len(tools))
        for tool in [*tools[turn:], *tools[:turn]]:
            idle_s = IDLE_S if tool.name == "window" else 0.0
            found.append({"trial": trial, **loop(network, batches, tool, board, rng, idle_s=idle_s)})
    end_s, end_j = board.tick()
    after_w = rest(board, rest_s)
    busy_s, images = sum(one["seconds"] for one in found), sum(one["images"] for one in found)
    pauses_j = (before_w + after_w) / 2 * (end_s - start_s - busy_s)
    return {
        "model": network.name, "wanted_s": seconds, "batches": batches, "trials": found, "idle_before_w": before_w,
        "idle_after_w": after_w, "series_j": end_j - start_j, "series_s": end_s - start_s, "busy_s": busy_s,
        "truth_joules_per_image": (end_j - start_j - pauses_j) / images if images else None,
    }  # fmt: skip


def long_loop(network: Network, board: Board, *, seconds: float, idle_w: float) -> dict[str, Any]:
    """Run a long loop between two ticks of the counter; return its joules per image."""
    one = between_ticks(board, lambda: network.run(network.batches(seconds)), idle_w=idle_w)
    return {"model": network.name, "seconds": one.seconds, "images": one.images, "joules_per_image": one.joules / one.images}
