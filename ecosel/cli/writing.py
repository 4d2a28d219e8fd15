"""Write an answer to standard output or, atomically, to a file."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


def check_targets(targets: Sequence[str | None], inputs: Sequence[str], /) -> None:
    """Raise ValueError if an output would replace an input, or another output."""
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


def write(*answers: tuple[str | bytes, str | None]) -> None:
    """Write each content to its file, or to standard output if the file is None or `-`.

    Each file is first written whole under a temporary name; then all appear together.
    """
    with _clean_ends():
        _write(answers)


class _Ended(BaseException):
    """A signal to end this process has arrived."""


@contextmanager
def _clean_ends() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as by default, but only after its unfinished files are removed."""
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


def _write(answers: Sequence[tuple[str | bytes, str | None]]) -> None:
    partial: list[tuple[Path, Path]] = []
    try:
        for content, target in answers:
            raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
            if target is None or target == "-":
                _print(raw)
                continue
            path = Path(target)
            if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe holds nothing to protect
                path.write_bytes(raw)
            else:
                partial.append((_beside(path, raw), path))
        while partial:
            partial[0][0].replace(partial[0][1])
            partial.pop(0)
    finally:
        for file, _ in partial:
            file.unlink(missing_ok=True)


def _print(raw: bytes) -> None:
    if sys.stdout is None:
        raise OSError("standard output is closed")
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def _beside(path: Path, raw: bytes) -> Path:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:  # closing also writes, and can fail too
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(handle, 0o666 & ~umask)
            file.write(raw)
    except BaseException as error:
        Path(name).unlink()
        if isinstance(error, OSError):
            raise OSError(f"cannot write {path}: {error.strerror}") from None
        raise
    return Path(name)


def terminal_width() -> int | None:
    """Return the width of the terminal, 80 to 120 columns; None if standard output is not a terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return max(80, min(shutil.get_terminal_size().columns, 120))
