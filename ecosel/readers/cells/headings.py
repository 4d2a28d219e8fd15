"""Find the rows below a header that belong to it: units of the columns, and further rows of names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecosel.readers.cells.numbers import MISSING
from ecosel.readers.cells.units import factor_of

# possessive (*+) where a long run of one character would otherwise be tried from each of its places
_NUMBER = re.compile(r"\s*+[+\-−~<>$€£]?\s*+[.,]*+\d.*", re.DOTALL)
_BRACKETS = re.compile(r"[\[({](.*)[\])}]")
# types that exports write below the names, and words for "no unit"
_NO_UNIT = frozenset(("string", "str", "text", "float", "float32", "float64", "double", "real", "int", "int32", "int64",
                      "integer", "i32", "i64", "f32", "f64", "bool",
                      "boolean", "number", "numeric", "object", "count", "none", "unit", "units",
                      "name"))  # fmt: skip
_OTHER_UNITS = frozenset(("%", "fps", "points", "pts", "pp", "px", "€", "$", "°c", "k", "b"))
# a number without a unit of its own
PLAIN_NUMBER = r"^\s*[+\-−]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?\s*$"
_PLAIN = re.compile(r"\s*+[+\-−]?[.,]*+\d[\d.,]*+([eE][+-]?\d++)?\s*+")
_RATE = re.compile(r"[A-Za-zµμ€$%]{1,12}\s?(/|per|\*|·)\s?[A-Za-zµμ0-9²]{1,12}")
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?")
# rows of a sample in which columns of numbers are looked for
_LOOKED_AT = 50


@dataclass(frozen=True)
class Heading:
    """The names and units that a header gives the columns."""

    names: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    rows: int = 1
    """Number of rows that it takes, including the first."""

    @property
    def remark(self) -> str | None:
        parts = [f"{name} in {unit}" for name, unit in list(self.units.items())[:8]]
        said = f" says the units: {', '.join(parts)}{', ...' if len(self.units) > 8 else ''}" if parts else " belongs to it"
        if self.rows == 1:
            return None
        if not parts and self.rows > 2:
            return f"{self.rows - 1} rows below the header belong to it"
        return f"the {'row' if self.rows == 2 else 'last row'} below the header{said}"


def heading_of(header: Sequence[str], rows: Sequence[Sequence[str]], /) -> Heading:
    """Read the header, and the rows below that belong to it; names from several rows are joined by "/"."""
    names, below = tuple(header), list(rows[: _LOOKED_AT + 3]) if header else []
    taken = 1
    while taken < 4 and len(below) > 1 and (joined := _joined(names, below)) is not None:
        names, below, taken = joined, below[1:], taken + 1
    if taken > 1 and len(below) > 1 and (named := _index_named(names, below[0])) is not None:
        names, below, taken = named, below[1:], taken + 1
    units = _units(below[0], below[1:]) if len(below) > 1 and len(set(names)) == len(names) else None
    if units is not None:
        return Heading(names, {name: unit for name, unit in zip(names, units, strict=True) if unit}, taken + 1)
    return Heading(names, {}, taken)


def with_unit(cell: str | float | None, unit: str) -> str | float | None:
    """Add the unit of its column to a cell that is a number without one."""
    return f"{cell} {unit}" if cell is not None and _PLAIN.fullmatch(f"{cell}") else cell


def _joined(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Join names that repeat, or span merged cells, with those in the row below them; None if there are none."""
    names, below = _filled(header, rows[0]), [_cell(cell) for cell in rows[0]]
    count = Counter(names)
    shared = [count[name] > 1 and bool(name) for name in names]
    alone = [k for k in range(len(names)) if not shared[k]]
    if any(shared):
        # several names below one: the other columns have no name below, or the row contains no number at all
        fits = all(cell for cell, is_shared in zip(below, shared, strict=True) if is_shared) and (
            all(not below[k] for k in alone) if any(map(_NUMBER.fullmatch, below)) else True
        )
    else:  # pandas writes two levels this way, with no name for the index in either
        fits = not names[0] and not below[0] and all(below[1:]) and all(names[1:]) and _unit(below) is None
        fits = fits and not any(map(_NUMBER.fullmatch, below))
    joined = tuple("/".join(part for part in pair if part) for pair in zip(names, below, strict=True))
    if not (fits and alone) or len(set(joined)) < len(joined) - joined.count("") + bool(joined.count("")):
        return None
    later = rows[1:]
    has_numbers = any(_NUMBER.fullmatch(row[k]) for row in later for k in range(len(names)) if k not in alone or not any(shared))
    return joined if has_numbers and any(_cell(row[k]) for row in later for k in alone) else None


def _filled(header: Sequence[str], below: Sequence[str]) -> list[str]:
    """Repeat the name of merged cells in all cells that it spans."""
    names: list[str] = []
    for name, under in zip(map(_cell, header), map(_cell, below), strict=True):
        spanned = not name and under and names and names[-1]
        names.append(names[-1] if spanned else name)
    return names


def _index_named(names: Sequence[str], row: Sequence[str]) -> tuple[str, ...] | None:
    """Use a row in which pandas names the index, that is, with cells only under columns without a name."""
    cells = list(map(_cell, row))
    if not any(cells) or any(name and cell for name, cell in zip(names, cells, strict=True)):
        return None
    return tuple(name or cell for name, cell in zip(names, cells, strict=True))


def _units(row: Sequence[str], later: Sequence[Sequence[str]]) -> list[str] | None:
    """Return the unit of each column if a row states those of all columns of numbers; None if it is an ordinary row."""
    if any(map(_NUMBER.fullmatch, row)):
        return None
    of_numbers = [k for k in range(len(row)) if _is_of_numbers([cells[k] for cells in later])]
    units = _unit([row[k] for k in of_numbers])
    if units is None:
        return None
    found = dict(zip(of_numbers, units, strict=True))
    return [found.get(k, "") for k in range(len(row))]


def _unit(cells: Sequence[str]) -> list[str] | None:
    """Read cells as units, "" for none; return None if a cell is something else, or if no cell is a unit or a type."""
    units = []
    for cell in map(_cell, cells):
        bracketed = _BRACKETS.fullmatch(cell)
        unit = bracketed[1].strip() if bracketed else cell
        if unit.lower() in _NO_UNIT or unit.lower() in MISSING:
            units.append("")
        elif (bracketed and cell[0] == "[") or factor_of(unit) or unit.lower() in _OTHER_UNITS or _RATE.fullmatch(unit):
            units.append(unit)
        else:
            return None
    told = any(unit or _cell(cell).lower() in _NO_UNIT for unit, cell in zip(units, cells, strict=True))
    return units if told else None


def _is_of_numbers(cells: Sequence[str]) -> bool:
    present = [cell for cell in map(_cell, cells) if cell.lower() not in MISSING]
    return bool(present) and all(map(_NUMBER.fullmatch, present))


def _cell(cell: str) -> str:
    cell = cell.strip()
    return "" if _UNNAMED.fullmatch(cell) else cell
