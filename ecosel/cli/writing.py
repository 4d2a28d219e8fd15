"""Write an answer to standard output or, whole or not at all, to a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def check_targets(targets: Sequence[str | None], inputs: Sequence[str], /) -> None:
    """Raise ValueError where an output would replace an input, or another output."""
    files = [Path(target).resolve() for target in targets if target not in (None, "-")]
    if len(set(files)) < len(files):
        raise ValueError(f"{files[0].name} is named for two outputs; give each its own file")
    for file in files:
        for read in (Path(name).resolve() for name in inputs if name != "-"):
            if (
                file == read
                or (read.is_dir() and file.is_relative_to(read))
                or (file.exists() and read.exists() and file.samefile(read))
            ):
                raise ValueError(f"{file.name} is the archive itself; name another file for the output")


def write(content: str | bytes, target: str | None, /) -> None:
    """Write content to the file target, or to standard output where it is None or `-`.

    A file appears under its name only when it is complete.
    """
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if target is None or target == "-":
        if sys.stdout is None:
            raise OSError("standard output is closed")
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():  # a device or a pipe has no content to protect
        path.write_bytes(raw)
        return
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from None
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
