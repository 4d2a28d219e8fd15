"""Rewrite a page atomically whenever its archive changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ecosel.errors import ArchiveError
from ecosel.readers.opening import expand

# Seconds between two looks at the archive, and so at least between two pages.
EVERY_S = 2.0
_Stamp = tuple[tuple[str, int, int], ...]
_Write = Callable[[float | None], None]


def watch(archives: Sequence[str], write_page: _Write, /, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Call write_page with the current time whenever the archives change, and with None at the end.

    This ends on Ctrl-C, on SIGTERM, or when the parent process is gone. It waits for archives that cannot be read yet.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    parent, seen, said = os.getppid(), None, ""
    try:
        while os.getppid() == parent:
            stamp = _stamp(archives)
            if stamp != seen:
                said = _attempt(write_page, time.time(), said)
                seen = stamp
            wait(EVERY_S)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    _attempt(write_page, None, said)


def _attempt(write_page: _Write, now: float | None, said: str) -> str:
    """Write the page; if the archive cannot be used yet, report that once, and return the message."""
    try:
        write_page(now)
    except (ArchiveError, ValueError, OSError) as error:
        words = f"no page yet: {' '.join(str(error).split())}"
        if words != said:
            click.echo(f"ecosel: {words}", err=True)
        return words
    return ""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stamp(archives: Sequence[str]) -> _Stamp:
    """Return name, modification time and size of every file of the archives, including the log of a database."""
    files: list[Path] = []
    for name in expand(archives):
        path = Path(name)
        files += sorted(path.rglob("*")) if path.is_dir() else [path, path.with_name(f"{path.name}-wal")]
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)


@contextmanager
def page_beside(archive: Path, page: Path | None, /) -> Iterator[None]:
    """Keep a page of an archive up to date in a separate process while the block runs; with None, keep none."""
    if page is None:
        yield
        return
    command = [sys.executable, "-m", "ecosel", "report", str(archive), "--force", "-o", str(page)]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    watcher = subprocess.Popen([*command, "--watch"], start_new_session=True, **quiet)
    try:
        yield
    finally:
        watcher.terminate()
        watcher.wait()
        subprocess.run(command, check=False, **quiet)  # the last state, whatever the watcher has written so far
