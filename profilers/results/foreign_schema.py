"""Find the parts of an SQLite database that would run whenever a row is written to it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Mapping
from typing import NamedTuple

SQLITE = b"SQLite format 3\0"  # the beginning of every SQLite file
_COMPUTED = re.compile(r"\b(CHECK|GENERATED|AS|DEFAULT|COLLATE|VIRTUAL)\b", re.IGNORECASE)


class ForeignPart(NamedTuple):
    """A part of a database that this program never makes."""

    kind: str
    name: str
    is_ours: bool
    """True for one of ecosel's own tables that computes when a row is written."""


def foreign_part(database: sqlite3.Connection, made: Mapping[str, Collection[str]], /) -> ForeignPart | None:
    """Return the first part not among the names made, by kind ("table", "view"), or a table that computes; None without any."""
    # SQLite's own indexes have no SQL
    for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        is_ours = name in made.get(kind, ())
        if not is_ours or (kind == "table" and _COMPUTED.search(str(sql))):
            return ForeignPart(str(kind), str(name)[:80], is_ours)
    return None
