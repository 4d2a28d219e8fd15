"""Choose the batches of a measurement, and time single ones; no torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

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
