"""Handle the signals that ask a search to end, and find its exit status."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Ctrl-C, and the signals of job systems before they kill: SLURM sends SIGTERM (pre-emption, `scancel`) or --signal's.
_NOTICES = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(KeyboardInterrupt):
    """A second signal has arrived; `status` is the exit status of the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = exit_status(signal.Signals(number))


def exit_status(signal_: signal.Signals | None) -> int:
    """Return 0, 130 after Ctrl-C, or 143 after any other notice to end, as a shell would."""
    return 0 if signal_ is None else 128 + (signal.SIGINT if signal_ == signal.SIGINT else signal.SIGTERM)


@contextmanager
def interrupts(first: Callable[[int], None]) -> Iterator[None]:
    """Call `first` at the first signal to end; the second raises Stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def tell(number: int, frame: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise Stopped(number)
        first(number)

    before = {number: signal.signal(number, tell) for number in _NOTICES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
