"""Read from a pipe, which may never end and can be read only once."""

from __future__ import annotations

import io
from itertools import chain
from typing import Any, BinaryIO

from ecosel.readers.bounds import Bounds
from ecosel.readers.kinds import PACKED, SAMPLE_BYTES, UTF_16, kind_of
from ecosel.readers.packing import pieces


def drained(name: str, stream: BinaryIO, bounds: Bounds, /) -> bytes:
    """Return everything that comes through a pipe, unpacked; refuse it at once if its kind is not supported."""
    head = stream.read(SAMPLE_BYTES)
    parts = pieces(io.BufferedReader(_Pipe(head, stream)), compressed=head.startswith(tuple(PACKED)), head=head)
    first = next(parts, b"")
    is_text = not first.startswith(UTF_16) and kind_of(name, first) in ("text", "JSON")
    return bounds.drained(name, chain([first], parts), is_text=is_text)


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
