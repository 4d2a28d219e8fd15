"""Write an answer to standard output or, whole or not at all, to a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def write(content: str | bytes, target: str | None, /, *, inputs: Sequence[str] = ()) -> None:
    """Write content to the file target, or to standard output where it is None or `-`.

    A file appears under its name only when it is complete. Raises ValueError where target is one of inputs.
    """
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if target is None or target == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    for name in inputs:
        if name != "-" and path.exists() and Path(name).exists() and path.samefile(name):
            raise ValueError(f"{target} is the archive itself; name another file for the output")
    if path.exists() and not path.is_file():  # a device or a pipe has no content to protect
        path.write_bytes(raw)
        return
    handle, partial = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        umask = os.umask(0)
        os.umask(umask)
        Path(partial).chmod(0o666 & ~umask)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
