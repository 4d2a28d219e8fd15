"""Turn cells with a unit or an error ("12.3 ms", "45.2M", "76.1 ± 0.4") into numbers of one unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.cells.numbers import MISSING, read_numbers

_PREFIXES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,
    "μ": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
}
_BASES = {"s": "time", "J": "energy", "W": "power", "Wh": "energy", "Hz": "frequency", "B": "size", "FLOP": "work",
          "FLOPs": "work", "FLOPS": "rate of work", "FLOP/s": "rate of work", "MAC": "multiplications", "MACs": "multiplications",
          "OP": "operations", "OPs": "operations", "m": "length", "V": "voltage", "A": "current"}  # fmt: skip
_IN_BASE = {"Wh": 3600.0}
_WORDS = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), ("time", 1.0)), **dict.fromkeys(("msec", "millis"), ("time", 1e-3)),
    **dict.fromkeys(("usec",), ("time", 1e-6)), **dict.fromkeys(("min", "mins", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("d", "day", "days"), ("time", 86400.0)), **dict.fromkeys(("joule", "joules"), ("energy", 1.0)),
    **dict.fromkeys(("byte", "bytes"), ("size", 1.0)), **dict.fromkeys(("thousand",), ("number", 1e3)),
    **dict.fromkeys(("million", "mln", "mio"), ("number", 1e6)), **dict.fromkeys(("billion", "bn"), ("number", 1e9)),
    **{f"{prefix}iB": ("size", 1024.0**power) for power, prefix in enumerate("KMGT", start=1)}, "kiB": ("size", 1024.0),
}  # fmt: skip
_COUNTS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NUMBER = r"[+\-−]?(?:\d[\d.,'’_\u00a0\u202f]*|\.\d+)(?:[eE][+-]?\d+)?"
_CELL = rf"^({_NUMBER})\s*([^\d\s.,±%][^±]*?)?$"
_WITH_ERROR = rf"^({_NUMBER})\s*(?:±|\+/-|\+-|\\pm|\$\\pm\$)\s*({_NUMBER})\s*([^±]*)$"
_DURATION = r"^(?:(\d+)\s*(?:days?|d),?\s*)?(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)$"


@dataclass(frozen=True)
class Quantities:
    """A column of cells read as numbers [n] of one unit."""

    numbers: pl.Series
    errors: pl.Series | None = None
    """What stands after ± in the cells."""
    unit: str | None = None
    remark: str | None = None


def factor_of(unit: str, /) -> tuple[str, float] | None:
    """Return the kind of a unit and how many of its base unit it is; None where it is not known."""
    unit = unit.strip()
    if unit in _COUNTS:
        return "number", _COUNTS[unit]
    if unit in _WORDS or unit.lower() in _WORDS:
        return _WORDS.get(unit) or _WORDS[unit.lower()]
    head, slash, per = unit.partition("/")
    if slash and unit not in _BASES and (of := factor_of(head)) is not None and head:
        return f"{of[0]}/{per.strip()}", of[1]
    for base, kind in _BASES.items():
        if unit.endswith(base) and unit[: -len(base)] in _PREFIXES:
            return kind, _PREFIXES[unit[: -len(base)]] * _IN_BASE.get(base, 1.0)
    return None


def read_quantities(cells: pl.Series, /, *, rows: pl.Series, unit: str | None = None) -> Quantities:
    """Read cells as numbers. One unit throughout is kept, several of one kind are converted to the largest.

    unit is the one that the column has by its name (inference_time_s), to which its cells are converted. Raises
    ArchiveError with two cells where their kinds differ, and with one where it is no number.
    """
    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.Duration:
        return Quantities(cells.dt.total_microseconds() / 1e6, unit="s" if unit is None else None)
    if cells.dtype != pl.String or not read_numbers(cells)[1].any():
        return Quantities(_numbers(cells, rows))
    text, errors = _parted(cells)
    text = _seconds(text)
    parts = pl.select(number=text.str.extract(_CELL, 1), unit=text.str.extract(_CELL, 2).fill_null("").str.strip_chars())
    present = text.is_not_null() & ~text.str.to_lowercase().is_in(MISSING)
    units = parts["unit"].filter(present & parts["number"].is_not_null()).unique(maintain_order=True).to_list()
    if units in ([], [""]) or text.str.contains("%").any():
        return Quantities(_numbers(text.alias(cells.name), rows), _error(errors, rows))
    if (present & parts["number"].is_null()).any():  # names the cell that is neither
        return Quantities(_numbers(pl.select(pl.coalesce(parts["number"], text)).to_series().alias(cells.name), rows))
    numbers = _numbers(parts["number"].alias(cells.name), rows)
    known = {name: factor_of(name) for name in units}
    kinds = {name: of[0] if of else name for name, of in known.items()}
    if len(set(kinds.values())) > 1:
        raise ArchiveError(_of_two_kinds(cells, parts["unit"], kinds, rows))
    target = unit if unit is not None else max(units, key=lambda name: known[name][1] if known[name] else 0.0)  # type: ignore[index]
    to = factor_of(target)
    if unit is not None and (to is None or to[0] != kinds[units[0]]):
        raise ArchiveError(
            f"column {cells.name!r}: {_example(cells, parts['unit'], units[0], rows)} is not in {unit or 'plain numbers'}"
        )
    if to is not None and (len(units) > 1 or target != units[0]):
        scale = {name: of[1] / to[1] for name, of in known.items() if of}
        factors = parts["unit"].replace_strict(scale, default=None, return_dtype=pl.Float64)
        numbers, errors = numbers * factors, None if errors is None else _error(errors, rows) * factors
    else:
        errors = _error(errors, rows)
    remark = f"{cells.name}: {' and '.join(map(repr, units))} are converted to {target!r}" if len(units) > 1 else None
    return Quantities(numbers.alias(cells.name), errors, target if unit is None and target else None, remark)


def _numbers(cells: pl.Series, rows: pl.Series) -> pl.Series:
    from ecosel.readers.cells.numbers import numbers

    return numbers(cells, rows=rows)


def _error(cells: pl.Series | None, rows: pl.Series) -> pl.Series | None:
    return None if cells is None else _numbers(cells, rows).cast(pl.Float64)


def _parted(cells: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Part "76.1 ± 0.4 ms" into "76.1 ms" and "0.4"."""
    text = cells.str.strip_chars()
    errors = text.str.extract(_WITH_ERROR, 2)
    if not errors.is_not_null().any():
        return text, None
    main = (text.str.extract(_WITH_ERROR, 1) + " " + text.str.extract(_WITH_ERROR, 3).fill_null("")).str.strip_chars()
    return pl.select(pl.coalesce(main, text)).to_series(), errors.alias(f"{cells.name} ±")


def _seconds(text: pl.Series) -> pl.Series:
    """Write durations, "0 days 00:00:01.5" or "00:01:30", as seconds."""
    if not text.str.contains(_DURATION).any():
        return text
    days, hours, minutes, seconds = (text.str.extract(_DURATION, k).cast(pl.Float64, strict=False) for k in (1, 2, 3, 4))
    total = (days.fill_null(0.0) * 86400 + hours * 3600 + minutes * 60 + seconds).cast(pl.String) + " s"
    return pl.select(pl.coalesce(total, text)).to_series()


def _of_two_kinds(cells: pl.Series, units: pl.Series, kinds: dict[str, str], rows: pl.Series) -> str:
    first, *others = kinds
    other = next(name for name in others if kinds[name] != kinds[first])
    one, two = (_example(cells, units, name, rows) for name in (first, other))
    return f"column {cells.name!r}: {one} and {two} are units of different kinds; give all cells one unit"


def _example(cells: pl.Series, units: pl.Series, unit: str, rows: pl.Series) -> str:
    number = re.compile(_NUMBER)
    at = next(
        k for k, (cell, own) in enumerate(zip(cells, units, strict=True)) if own == unit and cell and number.match(cell.strip())
    )
    return f"{cells[at]!r} in row {rows[at]}"
