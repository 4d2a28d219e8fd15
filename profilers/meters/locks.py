"""Keep two measurements of one board apart, across all users of the machine."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from profilers.errors import MeterError

_PAUSE_S = 0.05

# not TMPDIR, which may differ from job to job, and would not keep them apart
_SHARED = Path("/tmp")

_held: set[int] = set()


def _forget_in_child() -> None:
    # A flock lives as long as any copy of its file is open; a copy in a forked worker would outlive its owner.
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextmanager
def board_lock(
    uuid: str,
    timeout_s: float = 0.0,
    *,
    waiting: Callable[[str], None] | None = None,
    folder: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock of one board (by UUID; "cpu" for the packages) against all processes and users of this machine.

    Waits for up to timeout_s seconds; `waiting` is called once with the holder. Raises MeterError, with the holder's process,
    if the lock is not free by then. A holder that dies releases the lock, as it is a kernel lock (flock). Containers exclude each
    other only if they share /tmp.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", uuid):
        raise ValueError(f"{uuid!r} is not a board's UUID; it consists of letters, digits, '-', '.' and '_'")
    path = (folder or (_SHARED if _SHARED.is_dir() else Path(tempfile.gettempdir()))) / f"ecosel-board-{uuid}.lock"
    handle = _wait(path, uuid, timeout_s, waiting, clock, pause)
    _held.add(handle)
    try:
        _sign(handle, f"{os.getpid()}\n")
        yield
    finally:
        if handle in _held:  # not in a child that was forked meanwhile
            _held.discard(handle)
            _sign(handle, "")
            os.close(handle)


def _wait(
    path: Path,
    uuid: str,
    timeout_s: float,
    waiting: Callable[[str], None] | None,
    clock: Callable[[], float],
    pause: Callable[[float], None],
) -> int:
    deadline_s = clock() + timeout_s
    while True:
        handle, holder = _try(path)
        if handle is not None:
            return handle
        words = f"board {uuid} is being measured by {holder}"
        if clock() >= deadline_s:
            raise MeterError(f"{words}; wait until it ends ({path})")
        if waiting is not None:
            waiting(f"{words}; waiting up to {timeout_s:g} s")
            waiting = None
        pause(_PAUSE_S)


def _try(path: Path) -> tuple[int | None, str]:
    """Take the lock and return its file, or None and its holder."""
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(handle)
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise MeterError(f"the lock {path} cannot be taken: {error.strerror}") from error
            return None, holder
        # A cleaner of /tmp may have removed the file meanwhile, while others lock a new one.
        with suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
                return handle, ""
        os.close(handle)


def _open(path: Path) -> int:
    """Open the file for all users, without following links or waiting for pipes."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # First without O_CREAT, with which Linux refuses another user's file in a sticky folder.
        for mode in (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR, os.O_RDONLY):
            try:
                handle = os.open(path, flags | mode, 0o666)
            except (FileNotFoundError, FileExistsError, PermissionError):
                continue
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise MeterError(f"the lock {path} is not a file; remove it")
            if mode & os.O_CREAT:
                os.fchmod(handle, 0o666)  # whatever the umask, as others must be able to write their names
            return handle
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        what = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise MeterError(f"the lock {path} cannot be opened: {what}; remove it") from error


def _sign(handle: int, text: str) -> None:
    with suppress(OSError):  # another user's file that can only be read can be locked as well
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _holder(handle: int) -> str:
    with suppress(OSError, ValueError):
        return f"process {int(os.pread(handle, 32, 0))}"
    return "another process"
