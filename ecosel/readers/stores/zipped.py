"""Take the one table out of a zip file."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.kinds import BY_SUFFIX
from ecosel.readers.table import listed

# bzip2 and LZMA unpack a whole member at once, however large it is.
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Largest ratio to which the text of a table packs; a small file may also unpack to a tenth of the largest size read.
_TIMES = 200


def unzipped(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> bytes:
    """Return the content of the only file in it that may hold a table, or of the one that table names."""
    try:
        with zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source)) as parts:
            files = [p for p in parts.namelist() if not p.endswith("/") and not p.startswith("__MACOSX/")]
            member = _chosen(path, files, table)
            if parts.getinfo(member).compress_type not in BOUNDED:
                raise ArchiveError(f"{path}: {member} is packed by bzip2 or LZMA; unpack it first")
            most = max(bounds.max_size // 10, _TIMES * size_of(source))
            with parts.open(member) as file:
                content = file.read(most + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        raise ArchiveError(f"cannot read {path}: {error}") from error  # damaged, encrypted, or packed in an unknown way
    if len(content) > most:
        bounds.refuse(path, f"{member} unpacks to more than {_TIMES} times its size")
    return content


def _chosen(path: str, files: list[str], table: str | None) -> str:
    tables = [file for file in files if PurePosixPath(file).suffix.lower() in BY_SUFFIX]
    if len(tables) == 1:
        return tables[0]
    named = [file for file in files if table in (file, PurePosixPath(file).name)]
    if len(named) == 1:
        return named[0]
    what = f"{len(tables)} tables" if tables else "no table"
    of = f"; name one with --table: {listed(tables)}" if tables else f", but {listed(files) or 'nothing'}"
    raise ArchiveError(f"{path} is a zip file and holds {what}{of}")
