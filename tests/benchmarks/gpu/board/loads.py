"""Put loads with sharp edges on a board; their start and end are known on the host's clock."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from profilers.energy.readings import Floats

_SIZES, _PRODUCT_S = (3072, 4096, 5120, 6144, 8192), 0.0005
_IN_FLIGHT = 3
_SPIN_S = 0.001
_VARIES_S = 0.08


class Load(Protocol):
    """Draws power until a given time; returns when it began and ended."""

    words: str

    def until(self, end_s: float, /) -> tuple[float, float]: ...


class MatrixProducts:
    """Products of bf16 matrices on a GPU, each taking about half a millisecond; a share of the entries is 0.

    Zeros lower the power without changing the speed: at the board's power limit a load is throttled and its power is not steady.
    """

    def __init__(self, zeros: float = 0.0, *, size: int | None = None, device: str = "cuda:0") -> None:
        import torch

        self._torch, self._device = torch, torch.device(device)
        self.size, self.product_s = self._best_size((size,) if size else _SIZES)
        self.words = f"bf16 products of {self.size} x {self.size} normal matrices, {zeros:.0%} of the entries 0, {self.product_s * 1e3:.2f} ms each"
        self._make(self.size, zeros)
        self._events = [torch.cuda.Event() for _ in range(_IN_FLIGHT + 1)]
        self.until(time.monotonic() + 0.05)

    def _make(self, size: int, zeros: float) -> None:
        torch = self._torch
        torch.manual_seed(0)
        made = [torch.randn(size, size, device=self._device) for _ in range(2)]
        made = [one * (torch.rand(size, size, device=self._device) >= zeros) for one in made]
        self._left, self._right = (one.to(torch.bfloat16) for one in made)
        self._result = torch.empty_like(self._left)

    def _best_size(self, sizes: Sequence[int]) -> tuple[int, float]:
        """Return the size whose products take closest to half a millisecond, and the seconds that one takes."""
        found = []
        for size in sizes:
            self._make(size, 0.5)
            for count in (10, 60):
                self._torch.cuda.synchronize(self._device)
                before_s = time.monotonic()
                for _ in range(count):
                    self._torch.mm(self._left, self._right, out=self._result)
                self._torch.cuda.synchronize(self._device)
                took_s = (time.monotonic() - before_s) / count
            found.append((abs(took_s - _PRODUCT_S), size, took_s))
        _, size, took_s = min(found)
        return size, took_s

    def until(self, end_s: float, /) -> tuple[float, float]:
        torch, flying = self._torch, deque[Any]()
        on_s, count = time.monotonic(), 0
        while True:
            torch.mm(self._left, self._right, out=self._result)
            event = self._events[count % len(self._events)]
            event.record()
            flying.append(event)
            count += 1
            if len(flying) >= _IN_FLIGHT:
                flying.popleft().synchronize()
            # so the last product ends within half a product of end_s
            if time.monotonic() + (len(flying) + 0.5) * self.product_s > end_s:
                break
        torch.cuda.synchronize(self._device)
        return on_s, time.monotonic()


class StandinLoad:
    """Writes power steps to the file of the tests' stand-in for NVML, only to try out the program."""

    words = "steps of power in the stand-in for NVML"

    def __init__(self, idle_w: float = 75.0, power_w: float = 400.0) -> None:
        self._path = Path(os.environ["NVML_STANDIN"])
        self._lines, self._idle_w, self._power_w = self._path.read_text().splitlines(), idle_w, power_w
        self._rng = np.random.default_rng(0)
        origin = next(line for line in self._lines if line.startswith("origin"))
        self._origin_s = float(origin.split()[1])

    def until(self, end_s: float, /) -> tuple[float, float]:
        """Write both edges in advance, so that the counter never falls while it is read; the power varies by 1 %."""
        on_s = time.monotonic() + 0.003
        end_s = max(end_s, on_s + 0.001)
        for at_s in np.arange(on_s, end_s, _VARIES_S).tolist():
            self._lines.append(f"step {at_s - self._origin_s:.6f} {self._power_w * self._rng.normal(1, 0.01):.3f}")
        self._lines.append(f"step {end_s - self._origin_s:.6f} {self._idle_w * self._rng.normal(1, 0.01):.3f}")
        partial = self._path.with_name("partial.txt")
        partial.write_text("\n".join(self._lines) + "\n")
        partial.replace(self._path)
        wait_until(end_s)
        return on_s, end_s


def wait_until(time_s: float) -> None:
    """Sleep, then spin for the last millisecond."""
    while (left_s := time_s - time.monotonic()) > 0:
        if left_s > 2 * _SPIN_S:
            time.sleep(left_s - _SPIN_S)


def square(load: Load, periods_s: Floats, loads: list[tuple[float, float]]) -> None:
    """Run one load in the first half of each period; each starts on schedule, however late the last one ended."""
    begin_s = time.monotonic() + 0.002
    for period_s in periods_s.tolist():
        wait_until(begin_s)
        loads.append(load.until(begin_s + period_s / 2))
        begin_s += period_s
    wait_until(begin_s)
