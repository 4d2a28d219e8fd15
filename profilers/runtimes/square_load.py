"""Turn a torch device into a load that can be switched on and off, for probing a meter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from profilers.errors import ProfilerError


@contextmanager
def square_load(device: str) -> Iterator[Callable[[bool], None]]:
    """Yield a switch: True starts matrix products on the device, False returns when the last of them has ended.

    Raises ProfilerError where torch is not installed or has no such device. The thread is gone at the end.
    """
    try:
        import torch
    except ImportError as error:
        raise ProfilerError("a load needs torch; install ecosel[torch]") from error
    on_gpu = device.startswith("cuda")
    if device != "cpu" and not (on_gpu and torch.cuda.is_available()):
        raise ProfilerError(f"torch cannot use {device}")
    # A round of products lasts about a millisecond, so that an edge of the load is as sharp.
    size, products = (2048, 4) if on_gpu else (384, 1)
    wanted, ended, leaving = threading.Event(), threading.Event(), threading.Event()
    failures: list[RuntimeError] = []

    def product() -> None:
        for _ in range(products):
            torch.mm(matrix, matrix, out=result)
        if on_gpu:
            torch.cuda.synchronize(device)

    def work() -> None:
        while wanted.wait() and not leaving.is_set():
            try:
                while wanted.is_set():
                    product()
            except RuntimeError as error:
                failures.append(error)
                wanted.clear()
            ended.set()

    def switch(on: bool) -> None:
        if on and not failures:
            ended.clear()
            wanted.set()
        elif wanted.is_set():
            wanted.clear()
            ended.wait()
        if failures:
            raise ProfilerError(f"the load failed on {device}: {failures[0]}") from failures[0]

    try:
        matrix = torch.randn(size, size, device=device)
        result = torch.empty_like(matrix)
        product()  # what the first one sets up is no load
    except RuntimeError as error:
        raise ProfilerError(f"the load failed on {device}: {error}") from error
    thread = threading.Thread(target=work, name="square-load", daemon=True)
    thread.start()
    try:
        yield switch
    finally:
        leaving.set()
        wanted.set()
        thread.join()
