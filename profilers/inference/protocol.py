"""What a measurement needs of a model and its batches, whatever the runtime: interface, order of batches, timing; no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

Mode = Literal["paper", "device", "pipelined"]  # where the batches of a measurement lie
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
MODES: tuple[Mode, ...] = ("paper", "device", "pipelined")
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")


@dataclass(frozen=True)
class Transfers:
    """Mean seconds a batch, by CUDA events: host to device, compute, device to host."""

    to_device_s: float
    compute_s: float
    to_host_s: float


class Labelled(Protocol):
    """The labels of a pass, in the order of its batches; `classes` is empty if unknown."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> Any: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


class Inference(Protocol):
    """A model and the batches of one pass, on a device; every method that runs it raises OutOfMemory or ModelError."""

    @property
    def batches(self) -> int:
        """Return the number of batches in one pass over the evaluation set."""

    @property
    def images(self) -> int:
        """Return the number of images in one pass."""

    @property
    def changes_inputs(self) -> bool:
        """Tell whether the model was seen to change its inputs in place."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the model was found to need."""

    def try_out(self) -> None:
        """Run one batch of every size for the first time, and find what the model needs."""

    def ready(self, batches: int, /) -> int:
        """Prepare what the next run needs; return how many batches it may have, fewer where memory is short."""

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return how many images they held."""

    def run_each_size(self) -> int:
        """Run one batch of every size, for what is set up at the first of each; return the images."""

    def outputs(self) -> Iterator[tuple[object, int]]:
        """Yield the output of each batch of one pass and how many images it held, in the order of the data."""

    def latencies(self, *, max_s: float) -> list[float]:
        """Return the seconds of single full batches, each waited for: from the call to the result on the device."""

    def loop_s(self) -> float:
        """Return the seconds that the loop around the model takes a batch; 0 if they pass while the device computes."""
        return 0.0

    def transfers(self) -> Transfers | None:
        """Return how the time of a batch divides; None if nothing is copied."""

    def flops(self) -> tuple[int | None, str | None]:
        """Return floating-point operations per image (a multiply-add is two), or None and why they cannot be counted."""

    def peak_memory(self) -> tuple[int | None, str]:
        """Return the peak bytes in use, and of what."""

    def compiling(self) -> AbstractContextManager[None]:
        """Replace the model by one that its first calls inside compile; raise ModelError if nothing can compile it."""


def process_peak_memory(runtime: str) -> tuple[int | None, str]:
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024, f"the whole process, {runtime} and batches included"
    except (OSError, StopIteration):
        return None, "the system does not report it"


B = TypeVar("B")

_MOST, _LEAST = 1000, 20  # calls that are timed


class RandomOrder:
    """The places of n batches, over and over in one random order, so that the beginning of a pass is a fair sample of it."""

    def __init__(self, batches: int, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(batches).tolist()
        self._next = 0

    def following(self, batches: int) -> list[int]:
        """Return the next places, and stay where it is."""
        return [self._order[(self._next + index) % len(self._order)] for index in range(batches)]

    def take(self, batches: int) -> list[int]:
        chosen = self.following(batches)
        self._next = (self._next + batches) % len(self._order)
        return chosen


def time_singly(run: Callable[[B], object], prepare: Callable[[int], B], /, *, max_s: float) -> list[float]:
    """Return the seconds of calls of what is prepared for 0, 1, 2, ...: of at most 1,000, which begin within max_s.

    Where those are fewer than 20, calls go on up to five times max_s.
    """
    seconds: list[float] = []
    end_s = time.perf_counter() + max_s
    while len(seconds) < _MOST and (len(seconds) < _LEAST or time.perf_counter() < end_s):
        batch = prepare(len(seconds))
        start_s = time.perf_counter()
        run(batch)
        seconds.append(time.perf_counter() - start_s)
        if time.perf_counter() > end_s + 4 * max_s:
            break
    return seconds
