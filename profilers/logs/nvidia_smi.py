"""Parse the CSV logs of nvidia-smi and of meters into named columns."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest

import numpy as np

from profilers.energy.readings import Floats
from profilers.errors import MeterError

_MISSING = re.compile(r"^$|^\[.*\]$|^(n/?a|not supported|unknown error|gpu is lost.*|err!?|nan( *[mk]?w)?)$", re.I)
_NUMBER = re.compile(r"^([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)\s*(mw|kw|w|s|ms)?$", re.I)
_STAMP = re.compile(r"^\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?\s*(Z|[-+]\d\d:?\d\d)?$")
_CELL_SCALES = {"mw": 1e-3, "kw": 1e3}
# Output of other nvidia-smi commands: tables of whole watts, mostly without the time.
_OTHER = re.compile(r"nvidia-smi|nvsmi|nvidia_smi_log|^#\s*(gpu|date|time)\b.*\bpwr\b|^\d+, *pwrdraw\b", re.I | re.M)
_BANNER = 20  # largest number of lines that a wrapper or the program itself prints before the column names


@dataclass(frozen=True)
class Cells:
    """The rows of a log as text, with lower-case column names and the number of each line."""

    path: str
    names: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    warnings: tuple[str, ...] = ()
    comma: bool = False  # within numbers, as another character separates the cells

    def numbers(self, column: int, /) -> Floats:
        """Return a column as numbers, in W if cells have units; NaN where a number is not available."""
        return np.array([self._number(row[column], line) for row, line in zip(self.table, self.lines, strict=True)])

    def _number(self, cell: str, line: int) -> float:
        if _MISSING.match(cell):
            return math.nan
        found = _NUMBER.match(cell.replace(",", ".") if self.comma else cell)
        if found is None:
            raise MeterError(f"{self.path} line {line}: {cell[:40]!r} is not a number")
        return float(found[1]) * _CELL_SCALES.get((found[2] or "").lower(), 1.0)

    def values(self, name: str, /) -> list[str] | None:
        place = next((k for k, one in enumerate(self.names) if one.split(" [")[0] == name), None)
        return None if place is None else [row[place] for row in self.table]

    def value(self, name: str, /) -> str | None:
        values = self.values(name)
        return values[0] if values else None

    def stamps(self, column: int | None = None, /) -> Floats | None:
        """Return time stamps in seconds, from a given column or the one that holds any; None if there are none."""
        if not self.table:
            return None
        places = [k for k, cell in enumerate(self.table[0]) if is_stamp(cell)]
        place = column if column is not None else places[0] if places else None
        if place is None or place not in places:
            return None
        for row, line in zip(self.table, self.lines, strict=True):
            if not is_stamp(row[place]):
                raise MeterError(f"{self.path} line {line}: {row[place][:40]!r} is not a time stamp")
        if len({states_zone(row[place]) for row in self.table}) > 1:
            raise MeterError(f"{self.path} has time stamps with and without a zone")
        return np.array([seconds_of(row[place]) for row in self.table])

    @property
    def zoned(self) -> bool:
        return any(states_zone(cell) for cell in self.table[0])

    def dated(self) -> Cells:
        """Return the log with its columns date and time joined."""
        if not {"date", "time"} <= set(self.names) or any(is_stamp(cell) for cell in self.table[0]):
            return self
        date, time = self.names.index("date"), self.names.index("time")
        table = tuple((*row[:time], f"{row[date]} {row[time]}", *row[time + 1 :]) for row in self.table)
        names = ("day" if name == "date" else name for name in self.names)
        return replace(self, names=tuple(names), table=table)

    def rows(self, kept: Sequence[bool], /) -> Cells:
        chosen = [k for k, one in enumerate(kept) if one]
        return replace(self, table=tuple(self.table[k] for k in chosen), lines=tuple(self.lines[k] for k in chosen))


def is_stamp(text: str, /) -> bool:
    return bool(_STAMP.match(text))


def states_zone(text: str, /) -> bool:
    found = _STAMP.match(text.strip())
    return bool(found and found[2])


def seconds_of(text: str, /) -> float:
    """Return a time stamp in seconds: since 1970 if it states a zone, else on a clock without one."""
    try:
        stamp = datetime.fromisoformat(re.sub(r"\s+(?=Z|[-+]\d\d:?\d\d$)", "", text.strip()).replace("/", "-"))
    except ValueError as error:
        raise MeterError(f"{text.strip()[:40]!r} is not a time stamp: {error}") from None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def cells_of(path: str, text: str, /) -> Cells:
    """Split a CSV log into cells; supply column names if the log has none. Raise MeterError naming a bad line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise MeterError(f"{path} is empty")
    named = (k for k, (_, line) in enumerate(lines[:_BANNER]) if "timestamp" in line and "power.draw" in line)
    first = next(named, 0)
    if not first and _OTHER.search(text[:2000]):
        raise MeterError(
            f"{path} is the output of another nvidia-smi command; log with "
            "nvidia-smi --query-gpu=timestamp,index,name,power.draw.instant --format=csv -lms 100"
        )
    lines = [(number, line) for number, line in lines[first:] if not line.startswith("#")]
    if not lines:
        raise MeterError(f"{path} has no rows")
    counts = {mark: lines[0][1].count(mark) for mark in (";", "\t", ",")}
    mark = max(counts, key=lambda one: counts[one])
    rows = _rows(path, lines, mark)
    names = _names(path, rows[0][1])
    headed = names == tuple(cell.lower() for cell in rows[0][1])
    warnings: tuple[str, ...] = ()
    body = [(number, row) for number, row in rows[1 if headed else 0 :] if tuple(map(str.lower, row)) != names]
    if body and (len(body[-1][1]) != len(names) or (not text.endswith("\n") and not body[-1][1][-1])):
        warnings = (f"the last line ({body[-1][0]}) is incomplete and is left out",)
        body.pop()
    for number, row in body:
        if len(row) != len(names):
            raise MeterError(f"{path} line {number} has {len(row)} cells instead of {len(names)}: {mark.join(row)[:60]!r}")
    if not body:
        raise MeterError(f"{path} has no rows")
    return Cells(path, names, tuple(row for _, row in body), tuple(number for number, _ in body), warnings, mark != ",")


def _rows(path: str, lines: list[tuple[int, str]], mark: str) -> list[tuple[int, tuple[str, ...]]]:
    """Split lines, which are used up, into cells; a cell that repeats that above shares its memory."""
    lines.reverse()
    rows: list[tuple[int, tuple[str, ...]]] = []
    above: tuple[str, ...] = ()
    while lines:
        number, line = lines.pop()
        row = _row(path, number, line, mark)
        above = tuple(old if old == cell else cell for cell, old in zip_longest(row, above[: len(row)]))
        rows.append((number, above))
    return rows


def _row(path: str, number: int, line: str, mark: str) -> tuple[str, ...]:
    try:
        return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=mark)))
    except csv.Error as error:
        raise MeterError(f"{path} line {number} cannot be read: {error}") from None


def _names(path: str, first: tuple[str, ...]) -> tuple[str, ...]:
    if not any(is_stamp(cell) or _NUMBER.match(cell) for cell in first):
        return tuple(cell.lower() for cell in first)
    names, powers = [], 0
    for cell in first:
        number = _NUMBER.match(cell)
        if is_stamp(cell):
            names.append("timestamp")
        elif number and ((number[2] or "").lower() in ("w", "mw", "kw") or "." in cell):
            names.append("power.draw [w]")
            powers += 1
        elif number and "." not in cell:
            names.append("index")
        else:
            names.append("uuid" if cell.startswith("GPU-") else "name")
    if powers != 1 or names.count("timestamp") != 1:
        raise MeterError(f"{path} has no header, and {powers} columns could be the power; log it with a header")
    return tuple(names)


def power_columns(cells: Cells, /) -> list[int]:
    """Return nvidia-smi's power columns, beginning with the best to integrate."""
    order = {"power.draw.instant": 0, "power.draw": 1, "power.draw.average": 2}
    found = [(order[name.split(" [")[0]], k) for k, name in enumerate(cells.names) if name.split(" [")[0] in order]
    return [k for _, k in sorted(found)]
