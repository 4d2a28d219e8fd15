"""Compare the final choices of searches, one row each: python -m evolver.run.winners.comparison random.db evolved.db"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ecosel.errors import ArchiveError
from evolver.candidates import foreign

_COUNTS = """
SELECT COUNT(*) AS births, SUM(status = 'ok') AS ok, MAX(first_accuracy) AS first,
    (SELECT COUNT(*) FROM outcomes WHERE task != 'measure') AS trainings
FROM archive
"""
# the choice is the candidate trained once more at the end; if there are several, the one with the best mean
_CHOSEN = """
SELECT candidate_id, accuracy, accuracy_low, accuracy_high, trainings, test_accuracy FROM archive
WHERE test_accuracy IS NOT NULL ORDER BY accuracy DESC, birth LIMIT 1
"""
_HEADS = ("search", "trainings", "networks that learned", "highest accuracy seen", "chosen", "its mean accuracy", "test accuracy")


def compared(paths: Sequence[Path]) -> str:
    """Return a table of each search's results and choice. Raises ArchiveError if a file is not an archive of a search."""
    rows = [_HEADS, *(_row(path) for path in paths)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _row(path: Path) -> tuple[str, ...]:
    try:
        with foreign(path) as database:
            counts = database.execute(_COUNTS).fetchone()
            chosen = database.execute(_CHOSEN).fetchone()
    except sqlite3.Error as error:
        raise ArchiveError(f"{path} is not an archive of ecosel evolve ({error})") from error
    learned = f"{counts['ok'] or 0} of {counts['births']}"
    if chosen is None:
        return (path.stem, f"{counts['trainings']}", learned, _share(counts["first"]), "none", "-", "-")
    many = chosen["trainings"] > 1
    interval = f" ({_share(chosen['accuracy_low'])} to {_share(chosen['accuracy_high'])})" if many else " (one training)"
    return (
        path.stem, f"{counts['trainings']}", learned, _share(counts["first"]), chosen["candidate_id"],
        _share(chosen["accuracy"]) + interval, _share(chosen["test_accuracy"]),
    )  # fmt: skip


def _share(value: Any) -> str:
    return "-" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    try:
        print(compared([Path(name) for name in sys.argv[1:]]))
    except ArchiveError as error:
        sys.exit(f"ecosel: {error}")
