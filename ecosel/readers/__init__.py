"""Turn any file that holds a table of models into an Archive."""

from ecosel.archive.opening import open_archive
from ecosel.archive.table import ROW, Archive

__all__ = ["ROW", "Archive", "open_archive"]
