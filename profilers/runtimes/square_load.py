"""Turn a torch device into a load that can be switched on and off, for probing a meter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from profilers.errors import ProfilerError


@contextmanager
def square_load(device: str) -> Iterator[Callable[[bool], None]]:
    """Yield a switch: True starts matrix products on the device; False returns when the last of them has ended.

    Raises ProfilerError if torch is not installed or has no such device. The thread is gone at the end.
    """
    load = _Load(*_products(device))
    load.thread.start()
    try:
        yield lambda on: load.switch(on, device)
    finally:
        load.leave()


def _products(device: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what a thread does first, and a round of matrix products of about a millisecond: the edges are equally sharp."""
    try:
        import torch
    except ImportError as error:
        raise ProfilerError("a load needs torch; install ecosel[torch]") from error
    on_gpu = device.startswith("cuda")
    if device != "cpu" and not (on_gpu and torch.cuda.is_available()):
        raise ProfilerError(f"torch cannot use {device}")
    size, products = (2048, 4) if on_gpu else (384, 1)

    def run() -> None:
        for _ in range(products):
            torch.mm(matrix, matrix, out=result)
        if on_gpu:
            torch.cuda.synchronize(device)

    def begin() -> None:
        if on_gpu:  # without a kernel first, cuBLAS finds no context in a new thread and warns
            torch.cuda.set_device(device)
            torch.zeros(1, device=device).add_(1)

    try:
        matrix = torch.randn(size, size, device=device)
        result = torch.empty_like(matrix)
        run()  # the first one includes setting up
    except RuntimeError as error:
        raise ProfilerError(f"the load failed on {device}: {error}") from error
    return begin, run


class _Load:
    """A thread that runs rounds while the load is switched on."""

    def __init__(self, begin: Callable[[], None], run: Callable[[], None]) -> None:
        self._begin, self._run = begin, run
        self._wanted, self._ended, self._leaving = threading.Event(), threading.Event(), threading.Event()
        self._failures: list[RuntimeError] = []
        self.thread = threading.Thread(target=self._work, name="square-load", daemon=True)

    def switch(self, on: bool, device: str, /) -> None:
        if on and not self._failures:
            self._ended.clear()
            self._wanted.set()
        elif self._wanted.is_set():
            self._wanted.clear()
            self._ended.wait()
        if self._failures:
            raise ProfilerError(f"the load failed on {device}: {self._failures[0]}") from self._failures[0]

    def leave(self) -> None:
        self._leaving.set()
        self._wanted.set()
        self.thread.join()

    def _work(self) -> None:
        try:
            self._begin()
        except RuntimeError as error:
            self._failures.append(error)
        while self._wanted.wait() and not self._leaving.is_set():
            try:
                while self._wanted.is_set():
                    self._run()
            except RuntimeError as error:
                self._failures.append(error)
                self._wanted.clear()
            self._ended.set()
