"""Show the progress of a search on standard error: one updated line, plain lines, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Mode = Literal["auto", "plain", "quiet"]
_PLAIN_EVERY_S = 10.0
_NAMED = 4  # up to this many devices are named in a line; more are counted


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """The progress of a search."""

    phase: str  # "search", "confirm", "measure", "final", "finishing"
    births: int
    asked: int | None  # births allowed by the budget
    finished: int
    running: int
    waiting: int  # jobs waiting to be measured or finished, besides those running
    rate_per_s: float  # births finished by this command while searching
    best: tuple[float, int] | None  # accuracy, birth
    front: int
    statuses: Mapping[str, int]
    devices: tuple[str, ...]
    elapsed_s: float
    left_s: float | None
    joules: float | None
    resumed: int  # births in the archive before this command


def line_of(progress: SearchProgress) -> str:
    """Return the progress in one line, which can also be searched for in a log."""
    asked = f" of {max(progress.asked, progress.births):,}" if progress.asked else ""
    parts = [f"{progress.finished:,}{asked} done, {progress.running} running", f"{progress.rate_per_s * 3600:,.0f}/h"]
    if progress.best is not None:
        parts.append(f"best {progress.best[0]:.2%} (candidate {progress.best[1]})")
    parts.append(f"front {progress.front}")
    failed = ", ".join(f"{count} {status}" for status, count in sorted(progress.statuses.items()))
    parts += [failed] if failed else []
    many = len(progress.devices) > _NAMED
    places = f"{len(progress.devices)} nodes" if many else ", ".join(progress.devices) or "no worker yet"
    parts.append(f"on {places}")
    parts += [f"{progress.waiting} waiting"] if progress.waiting else []
    if progress.joules is not None:
        parts.append(f"{progress.joules:,.0f} J")
    parts.append(duration(progress.elapsed_s) + (f", {duration(progress.left_s)} left" if progress.left_s is not None else ""))
    return f"{progress.phase}: " + " · ".join(parts)


def duration(seconds: float) -> str:
    """Format 75 seconds as 1:15."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say_waiting(mode: Mode) -> None:
    """State that nothing can begin, as a cluster's workers may come hours after its scheduler."""
    if mode != "quiet" and sys.stderr is not None:
        print("no worker has joined yet; the search starts when one does (Ctrl-C stops)", file=sys.stderr, flush=True)


@contextmanager
def watching(mode: Mode) -> Iterator[Callable[[SearchProgress], None]]:
    """Yield a function to be called repeatedly with the progress of a search."""
    if mode == "quiet" or sys.stderr is None:
        yield lambda progress: None
    elif mode == "plain" or not sys.stderr.isatty():
        yield _plainly()
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            yield lambda progress: live.update(Text(line_of(progress)), refresh=True)


def _plainly() -> Callable[[SearchProgress], None]:
    said_at, said_phase = float("-inf"), ""

    def say(progress: SearchProgress) -> None:
        nonlocal said_at, said_phase
        if progress.phase != said_phase or time.monotonic() - said_at >= _PLAIN_EVERY_S:
            said_at, said_phase = time.monotonic(), progress.phase
            print(line_of(progress), file=sys.stderr, flush=True)

    return say
