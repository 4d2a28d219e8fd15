"""End a command in one line, with exit status 1, if a library would abort the whole process.

Native code that meets a damaged file, or runs out of memory, aborts instead of raising (polars on a flipped bit in a
Parquet page, an allocation of exabytes): no `except` sees that, and the user is left with a page of backtrace.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_DAMAGED = "the file is damaged, or too large for the memory of this machine"
_FATAL = {
    signal.SIGABRT: _DAMAGED,
    signal.SIGSEGV: _DAMAGED,
    # a file in memory has lost its disk, such as the index of a search's write-ahead log
    signal.SIGBUS: "a file in use was cut short, or its disk failed or became read-only",
}
# Threads that polars and its allocator start beside one for each core.
_THREADS = 16
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)


@contextmanager
def one_line_aborts(*, silent: bool) -> Iterator[None]:
    """Handle aborts of this process during a command; silent: also capture what native code writes.

    Raises OSError if the libraries could not start their threads, as they would panic.
    """
    _check_threads()
    with ExitStack() as stack:
        noise = stack.enter_context(_native_noise()) if silent else None
        stack.enter_context(_handled(lambda number: _end(number, noise)))
        yield


def _check_threads() -> None:
    release = threading.Event()
    threads = [threading.Thread(target=release.wait) for _ in range(_THREADS + (os.cpu_count() or 1))]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        raise OSError("no more threads can be started: end other processes, or raise their limit (ulimit -u)") from None
    finally:
        release.set()


@contextmanager
def _handled(handle: Callable[[int], None]) -> Iterator[None]:
    libc = ctypes.CDLL(None)
    libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    handler = _HANDLER(handle)  # lives as long as this frame
    before = [(number, libc.signal(number, ctypes.cast(handler, ctypes.c_void_p))) for number in _FATAL]
    try:
        yield
    finally:
        for number, previous in before:
            libc.signal(number, previous)


@contextmanager
def _native_noise() -> Iterator[int | None]:
    """Keep sys.stderr on the terminal, and redirect native code to a file, which is returned."""
    try:
        kept, noise = os.dup(2), os.memfd_create("noise")
    except (OSError, AttributeError):  # stderr is closed, or this is not Linux
        yield None
        return
    before: Any = sys.stderr
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.dup2(noise, 2)
    try:
        yield noise
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = before
        os.close(noise)


def _end(number: int, noise: int | None) -> None:
    """Report in one line that a library aborted, with the first line that it wrote; exit at once."""
    signal.alarm(5)  # if this thread is never scheduled again, the process ends all the same
    said = b"" if noise is None else os.pread(noise, 300, 0).split(b"\n")[0]
    reason = said.decode("utf-8", "replace").strip() or signal.Signals(number).name
    line = f"ecosel: a library aborted ({reason}): {_FATAL[signal.Signals(number)]}\n"
    os.write(2 if noise is None else sys.stderr.fileno(), line.encode())
    os._exit(1)
