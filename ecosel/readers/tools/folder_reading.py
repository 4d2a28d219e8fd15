"""Read the files of a folder that a tool wrote, within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ecosel.readers.bounds import Bounds, said

# Lines tried to find the last whole one of a truncated file; lines are read from the end in pieces.
_CUT_OFF, _PIECE = 1000, 1 << 16


class FolderReading:
    """Reads the files of a tool's folder: regular files only, not too many, and not too much in total."""

    def __init__(self, path: str, bounds: Bounds) -> None:
        self.path, self.bounds = path, bounds
        self.size = self._files = self._listed = 0

    def below(self, folder: Path, levels: int) -> list[Path]:
        """Return the folders that many levels below one, sorted by name."""
        found = [folder]
        for _ in range(levels):
            found = [Path(entry.path) for one in found for entry in self._entries(one) if entry.is_dir()]
        return sorted(found)

    def files(self, folder: Path) -> list[Path]:
        """Return all files below a folder, at any depth."""
        found, waiting = list[Path](), [folder]
        while waiting:
            for entry in self._entries(waiting.pop()):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    found.append(Path(entry.path))
        return sorted(found)

    def text(self, file: Path) -> str:
        """Return the content of a file; empty if it does not exist or is not a file."""
        return "" if not self._take(file) else file.read_text("utf-8", "replace")

    def lines(self, file: Path) -> Iterator[str]:
        """Yield the lines of a file, from the first."""
        if self._take(file, count=False):
            with file.open(encoding="utf-8", errors="replace") as lines:
                while line := lines.readline(self.bounds.cell):
                    self._count(len(line))
                    yield line

    def last_lines(self, file: Path) -> Iterator[str]:
        """Yield the last lines of a file, the last one first, reading no more of it than is asked for."""
        left, number, after = self._take(file, count=False), 0, list[bytes]()
        while left and number < _CUT_OFF:
            piece = min(_PIECE, left)
            left -= piece
            self._count(piece)
            with file.open("rb") as content:
                content.seek(left)
                *whole, rest = content.read(piece).split(b"\n")[::-1]
            for line in whole:
                yield b"".join([line, *after[::-1]]).decode("utf-8", "replace")
                number, after = number + 1, []
            after.append(rest)
            if len(after) * _PIECE > 10 * self.bounds.cell:
                self.bounds.refuse(
                    self.path, f"{file.parent.name}/{file.name} has a line of more than {said(10 * self.bounds.cell)}"
                )
        if not left and after:
            yield b"".join(after[::-1]).decode("utf-8", "replace")

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        with suppress(NotADirectoryError, FileNotFoundError, PermissionError), os.scandir(folder) as entries:
            for entry in entries:
                self._listed += 1
                if self._listed > self.bounds.files * 5:
                    self.bounds.refuse(self.path, f"it holds more than {self._listed - 1:,} files and folders")
                yield entry

    def _take(self, file: Path, *, count: bool = True) -> int:
        """Return the size of a file to be read; 0 if it is not a file."""
        if not file.is_file():  # reading a pipe would block
            return 0
        self._files += 1
        if self._files > self.bounds.files:
            self.bounds.refuse(self.path, f"more than {self.bounds.files:,} files of it would be read")
        size = file.stat().st_size
        self._count(size if count else 0)
        return size

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self.bounds.max_size:
            self.bounds.refuse(self.path, f"its files hold more than {said(self.bounds.max_size)}")
