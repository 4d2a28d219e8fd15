"""Send what models print to standard error: standard output carries the answer."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress


@contextmanager
def stdout_aside() -> Iterator[None]:
    """Send standard output to standard error, that of native code and of child processes too, until the end of the block."""
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # the caller closed it: nothing can be mixed with anything
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # output buffered in native code would appear later
        os.dup2(kept, 1)
        os.close(kept)
