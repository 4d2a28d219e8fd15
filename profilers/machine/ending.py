"""Let a signal end this process only after what it writes is whole, or gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Ended(BaseException):
    """A signal that ends this process has arrived."""


@contextmanager
def clean_ends() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as they do by default, but after the `finally` blocks within."""
    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread() or not ends:
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        raise _Ended(number)

    for number in ends:
        signal.signal(number, end)
    try:
        yield
    except _Ended as ended:
        signal.signal(ended.args[0], signal.SIG_DFL)
        os.kill(os.getpid(), ended.args[0])
    finally:
        for number in ends:
            signal.signal(number, signal.SIG_DFL)
