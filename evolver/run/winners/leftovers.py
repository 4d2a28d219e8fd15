"""Remove what killed workers left of the winners and weights that they were saving."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from evolver.archive import locked
from evolver.candidates import weights_of
from evolver.errors import EvolverError


def remove_leftovers(archive: Path, /) -> None:
    """Remove unfinished files of an archive's search, which must not be running."""
    for path in _leftovers(archive):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def remove_leftovers_unless_running(archive: Path, /) -> None:
    """Remove unfinished files, once the workers are closed, unless another search is writing the archive."""
    if not _leftovers(archive):
        return
    try:
        lock = locked(archive)
    except EvolverError:
        return
    try:
        remove_leftovers(archive)
    finally:
        os.close(lock)


def _leftovers(archive: Path) -> list[Path]:
    name = re.compile(rf"\.{re.escape(archive.stem)}-\d+\.[\w.]+\.part")
    with suppress(OSError):
        unsaved = [path for path in archive.parent.iterdir() if name.fullmatch(path.name)]
        return unsaved + list(weights_of(archive, 0).parent.glob("*.pt.part"))
    return []
