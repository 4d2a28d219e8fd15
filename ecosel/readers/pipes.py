"""Read from a pipe, which may never end and can be read only once."""

from __future__ import annotations

import io
import os
import time
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.kinds import PACKED, SAMPLE_BYTES, UTF_16, kind_of
from ecosel.readers.packing import pieces

_PAUSE_S = 0.02


def drained(name: str, stream: BinaryIO, bounds: Bounds, /) -> bytes:
    """Return everything that comes through a pipe, unpacked; refuse it at once if its kind is not supported."""
    head = stream.read(SAMPLE_BYTES)
    parts = pieces(io.BufferedReader(_Pipe(head, stream)), compressed=head.startswith(tuple(PACKED)), head=head)
    first = next(parts, b"")
    is_text = not first.startswith(UTF_16) and kind_of(name, first) in ("text", "JSON")
    return bounds.drained(name, chain([first], parts), is_text=is_text)


def opened_pipe(name: str, path: Path, /, *, seconds: float) -> BinaryIO:
    """Open a pipe or device; refuse a named pipe that no program opens for writing, as reading it would block for ever."""
    if not path.is_fifo():
        return path.open("rb")
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)  # noqa: SIM115
    end, head = time.monotonic() + seconds, b""
    try:
        while not head:
            if time.monotonic() > end:
                stream.close()
                raise ArchiveError(f"{name} is a pipe to which nothing writes")
            head = os.read(stream.fileno(), 1)
            time.sleep(0 if head else _PAUSE_S)
    except BlockingIOError:  # a writer is there, but has written nothing yet
        pass
    os.set_blocking(stream.fileno(), True)
    return cast("BinaryIO", io.BufferedReader(_Pipe(head, cast("BinaryIO", stream))))


class _Pipe(io.RawIOBase):
    """A pipe, preceded by the head already read from it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = io.BytesIO(head), stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head.read(len(buffer)) or self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
