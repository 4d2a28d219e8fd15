"""Choose the batches of a measurement, and time single ones; no torch."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


class RandomOrder:
    """The places of n batches, over and over in one random order, so that the beginning of a pass is a fair sample of it."""

    def __init__(self, batches: int, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(batches).tolist()
        self._next = 0

    def take(self, batches: int) -> list[int]:
        chosen = [self._order[(self._next + index) % len(self._order)] for index in range(batches)]
        self._next = (self._next + batches) % len(self._order)
        return chosen


def time_singly(run: Callable[[int], None], *, max_s: float, most: int = 1000, least: int = 20) -> list[float]:
    """Return the seconds of calls 0, 1, 2, ...: those that begin within max_s, up to `most`.

    Where those are fewer than `least`, calls go on up to five times max_s.
    """
    seconds: list[float] = []
    end_s = time.perf_counter() + max_s
    while len(seconds) < most and (len(seconds) < least or time.perf_counter() < end_s):
        start_s = time.perf_counter()
        run(len(seconds))
        seconds.append(time.perf_counter() - start_s)
        if time.perf_counter() > end_s + 4 * max_s:
            break
    return seconds
