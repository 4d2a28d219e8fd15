"""Make Parquet files that keep polars busy for minutes, in a few bytes."""

from __future__ import annotations

import struct
from pathlib import Path


def keep_busy(file: Path, /, *, lists: int = 20) -> None:
    """Add lists to the metadata of a Parquet file, under an unknown number: each 2**31 booleans, which take no bytes there."""
    content = file.read_bytes()
    (length,) = struct.unpack("<I", content[-8:-4])
    columns, metadata = content[: -8 - length], content[-8 - length : -8]
    assert metadata[-1] == 0, "the end of a struct (Thrift's compact protocol)"
    unknown = b"\xf9\xf1" + b"\xff\xff\xff\xff\x07"  # a field 15 numbers on, a list of booleans, its length
    metadata = metadata[:-1] + lists * unknown + b"\0"
    file.write_bytes(columns + metadata + struct.pack("<I", len(metadata)) + b"PAR1")
