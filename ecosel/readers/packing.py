"""Unpack compressed text in a stream, one piece after the other."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

_CHUNK = 1 << 20
# Parts, each packed by itself, of which a file may consist: empty ones take time and unpack to nothing.
_MOST_PARTS = 200_000


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def unpacked_head(source: Path | bytes, size: int, /) -> bytes:
    """Return the first `size` bytes of a compressed text, without unpacking the rest."""
    with opened(source) as file:
        return next(pieces(file, compressed=True, size=size), b"")


def unpacked(source: Path | bytes, /) -> bytes:
    """Unpack a compressed text; its size has been checked before."""
    with opened(source) as file:
        return b"".join(pieces(file, compressed=True))


@contextmanager
def opened(source: Path | bytes) -> Iterator[BinaryIO]:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        yield file


def pieces(file: BinaryIO, *, compressed: bool, size: int = _CHUNK, head: bytes | None = None) -> Iterator[bytes]:
    """Yield the text in pieces of at most 1 MB, unpacking them one by one; head is the part of a pipe already read."""
    unpacked: _Readable = file
    if compressed:
        if head is None:
            head = file.read(6)
            file.seek(0)
        opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
        unpacked = file if opener is None else opener(cast("BinaryIO", io.BufferedReader(_Watched(file, head[:3]))))
    yield from iter(lambda: unpacked.read(size), b"")


class _Watched(io.RawIOBase):
    """A compressed file whose parts, which begin with the same bytes, are counted."""

    def __init__(self, file: BinaryIO, magic: bytes) -> None:
        self._file, self._magic, self._parts, self._zeros = file, magic, 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(len(buffer))
        self._parts += piece.count(self._magic)
        if self._parts > _MOST_PARTS:
            raise OSError(f"it consists of more than {_MOST_PARTS:,} compressed parts; unpack it first")
        self._zeros = 0 if piece.strip(b"\0") else self._zeros + len(piece)
        if self._zeros > _CHUNK:  # which some formats allow behind a part
            raise OSError("it consists of zeros after some place; unpack it first")
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def pieces_of(source: Path | bytes, *, compressed: bool) -> Iterator[Iterator[bytes]]:
    with opened(source) as file:
        yield pieces(file, compressed=compressed)


def _zstd(file: BinaryIO) -> _Readable:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile
    else:
        from backports.zstd import ZstdFile
    return ZstdFile(file)


def _bz2(file: BinaryIO) -> _Readable:
    from bz2 import BZ2File

    return BZ2File(file)


def _xz(file: BinaryIO) -> _Readable:
    from lzma import LZMAFile

    return LZMAFile(file)


# by the first bytes of the file
_OPENERS: dict[bytes, Callable[[BinaryIO], _Readable]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"\x28\xb5\x2f\xfd": _zstd, b"BZh": _bz2, b"\xfd7zXZ\x00": _xz,
}  # fmt: skip
