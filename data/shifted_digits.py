"""Make a small data set that a search can be shown on: python data/shifted_digits.py FOLDER

Each of the digits that ship with ecosel is put somewhere on a black canvas of 10x10 pixels, always in the same place. A
network has to find where it stands, which takes convolutions and pooling; so architectures differ more than on `digits`.
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import polars as pl

from ecosel.samples import sample

CANVAS = 10


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    digits, rng = np.load(sample("digits.npz")), np.random.default_rng(0)
    for split, rows in (("train", ~digits["test"]), ("test", digits["test"])):
        images = []
        for digit in digits["images"][rows]:
            top, left = rng.integers(0, CANVAS - 8 + 1, 2)
            canvas = np.zeros((CANVAS, CANVAS), np.uint8)
            canvas[top : top + 8, left : left + 8] = digit * (255 / 16)
            images.append({"bytes": png(canvas), "path": None})
        frame = pl.DataFrame({"image": images, "label": digits["labels"][rows].astype(np.int64)})
        frame.write_parquet(folder / f"{split}-00000-of-00001.parquet")


def png(pixels: np.ndarray) -> bytes:
    """Return a grey image as a PNG file."""
    height, width = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")
    chunks = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    main()
