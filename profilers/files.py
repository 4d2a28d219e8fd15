"""Read the small files that accompany a measurement, which a stranger may have replaced by a device or an endless pipe."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

# Seconds to wait for a program that writes to a named pipe.
_PATIENCE_S, _PAUSE_S = 10.0, 0.02


def read_file(path: Path, /, *, most: int) -> bytes:
    """Return the content of a file or pipe.

    Raises OSError, with a `strerror`, also for a device, a pipe without a writer, and more than `most` bytes.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(kind) and not file.isatty():
            raise OSError(errno.EINVAL, "it is a device, not a file")
        head = _first_of_pipe(file.fileno()) if stat.S_ISFIFO(kind) else b""
        os.set_blocking(file.fileno(), True)
        content = head + file.read(most + 1 - len(head))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes")
    return content


def _first_of_pipe(pipe: int) -> bytes:
    """Return what is in a pipe as soon as a program has opened it for writing."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := os.read(pipe, 1 << 12):
                return found
        except BlockingIOError:  # a writer is there, but has written nothing yet
            return b""
        time.sleep(_PAUSE_S)
    raise OSError(errno.ENODATA, "it is a pipe to which nothing writes")
