"""Define how a measurement runs a model, whatever the runtime: interface, order of batches, timing. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

Mode = Literal["paper", "device", "pipelined"]  # where the batches of a measurement are kept
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
MODES: tuple[Mode, ...] = ("paper", "device", "pipelined")
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")


B = TypeVar("B")
_MOST, _LEAST = 1000, 20  # number of timed calls


@dataclass(frozen=True)
class Transfers:
    """Mean seconds per batch, by CUDA events: host to device, compute, device to host."""

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
    """A model and the batches of one pass, on a device; methods that run it may raise OutOfMemory or ModelError."""

    @property
    def batches(self) -> int:
        """Return the number of batches in one pass over the evaluation set."""

    @property
    def images(self) -> int:
        """Return the number of images in one pass."""

    @property
    def changes_inputs(self) -> bool:
        """Tell whether the model was found to change its inputs in place."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return remarks on the needs found by `try_out`."""

    def try_out(self) -> None:
        """Run one batch of every size for the first time, and find out what the model needs."""

    def ready(self, batches: int, /) -> int:
        """Prepare the next run; return the number of batches it may have, fewer if memory is short."""

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return the number of images in them."""

    def run_each_size(self) -> int:
        """Run one batch of every size, so that everything set up at the first of each is done; return the number of images."""

    def outputs(self) -> Iterator[tuple[object, int]]:
        """Yield the output of each batch of one pass, and the number of images in it, in the order of the data."""

    def latencies(self, *, max_s: float) -> list[float]:
        """Return the seconds from the call to the result on the device for single full batches, each waited for."""

    def loop_s(self) -> float:
        """Return the seconds per batch that the loop around the model takes; 0 if they overlap the device's computation."""
        return 0.0

    def transfers(self) -> Transfers | None:
        """Return how the time of a batch is divided; None if nothing is copied."""

    def flops(self) -> tuple[int | None, str | None]:
        """Return floating-point operations per image (a multiply-add is two), or None and why they cannot be counted."""

    def peak_memory(self) -> tuple[int | None, str]:
        """Return the peak number of bytes in use, and by what."""

    def compiling(self) -> AbstractContextManager[None]:
        """Replace the model by one that compiles at its first calls in the block; raise ModelError if that is impossible."""


def process_peak_memory(runtime: str) -> tuple[int | None, str]:
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024, f"the whole process, {runtime} and batches included"
    except (OSError, StopIteration):
        return None, "the system does not report it"


class RandomOrder:
    """The positions of n batches, repeated in one random order, so that the beginning of a pass is a fair sample of it."""

    def __init__(self, batches: int, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(batches).tolist()
        self._next = 0

    def following(self, batches: int) -> list[int]:
        """Return the next positions without taking them."""
        return [self._order[(self._next + index) % len(self._order)] for index in range(batches)]

    def take(self, batches: int) -> list[int]:
        chosen = self.following(batches)
        self._next = (self._next + batches) % len(self._order)
        return chosen


def time_singly(run: Callable[[B], object], prepare: Callable[[int], B], /, *, max_s: float) -> list[float]:
    """Return the seconds of calls with the batches prepared for 0, 1, 2, ...: at most 1,000 calls that begin within max_s.

    If these are fewer than 20, continue for up to five times max_s.
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
