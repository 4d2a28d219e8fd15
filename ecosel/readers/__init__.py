"""Turn any file that holds a table of models into an Archive."""

from ecosel.readers.opening import open_archive
from ecosel.readers.table import ROW, Archive

__all__ = ["ROW", "Archive", "open_archive"]
