"""Turn cells with a unit or an error ("12.3 ms", "45.2M", "76.1 ± 0.4") into numbers of one unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.cells.numbers import MISSING, read_numbers
from ecosel.readers.cells.numbers import numbers as _numbers_of

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
          "OP": "operations", "OPs": "operations", "g": "mass", "m": "length", "V": "voltage", "A": "current"}  # fmt: skip
_IN_BASE = {"Wh": 3600.0}
_WORDS = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), ("time", 1.0)), **dict.fromkeys(("msec", "millis"), ("time", 1e-3)),
    **dict.fromkeys(("usec",), ("time", 1e-6)), **dict.fromkeys(("min", "mins", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("d", "day", "days"), ("time", 86400.0)), **dict.fromkeys(("joule", "joules"), ("energy", 1.0)),
    **dict.fromkeys(("fps", "frames/s"), ("frames/s", 1.0)),
    **dict.fromkeys(("param", "params", "parameters"), ("number", 1.0)),
    **dict.fromkeys(("byte", "bytes"), ("size", 1.0)), **dict.fromkeys(("thousand",), ("number", 1e3)),
    **dict.fromkeys(("million", "mln", "mio"), ("number", 1e6)), **dict.fromkeys(("billion", "bn"), ("number", 1e9)),
    **{f"{prefix}iB": ("size", 1024.0**power) for power, prefix in enumerate("KMGT", start=1)}, "kiB": ("size", 1024.0),
}  # fmt: skip
_COUNTS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NUMBER = r"[+\-−]?(?:\d[\d.,'’_\u00a0\u202f]*|\.\d+)(?:[eE][+-]?\d+)?"
_CELL = rf"^({_NUMBER})\s*([^\d\s.,±%][^±]*?)?$"
_WITH_ERROR = rf"^({_NUMBER})\s*(%|[^\d\s.,±%][^±\d]*?)?\s*(?:±|\+/-|\+-|\\pm)\s*({_NUMBER})\s*(%|[^±%]*)$"
_DURATION = r"^(?:(\d+)\s*(?:days?|d),?\s*)?(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)$"
_IN_PARTS = (r"^(?:(\d+)\s*d(?:ays?)?[\s,]*)?(?:(\d+)\s*h(?:ours?|rs?)?[\s,]*)?(?:(\d+)\s*m(?:in(?:ute)?s?)?[\s,]*)?"
             r"(?:(\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?)?$")  # fmt: skip
# a number as LaTeX, currencies and timeit write it: the number, its error and its unit
_WRITTEN = ((r"^\$(.*)\$(\s*\S*)$", "$1$2"), (r"\$\\pm\$", "±"), (r"^\((.*(?:±|\+/?-).*)\)(\s*\S*)$", "$1$2"),
            (r" per loop\b.*$", ""), (r"^([$€£¥])\s*(\d.*)$", "$2 $1"))  # fmt: skip
_SIGNS = "%°$€£¥'\""
# 1.2 × 10^9, 1.2×10⁹
_POWER = r"^([+\-−]?[\d.,]+)\s*[×x·*]\s*10\s*(?:\^|\*\*)?\s*\{?([+-]?\d+)\}?"
_HAS_POWER = r"[×x·*]\s*10\s*(\^|\*\*|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺])"
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−", "0123456789-+-", strict=True))


@dataclass(frozen=True)
class Quantities:
    """A column of cells read as numbers [n] of one unit."""

    numbers: pl.Series
    errors: pl.Series | None = None
    """The errors: the numbers after ± in the cells."""
    unit: str | None = None
    remark: str | None = None


def factor_of(unit: str, /) -> tuple[str, float] | None:
    """Return the kind of a unit and its size in the base unit; None if it is unknown."""
    unit = unit.strip()
    if unit in _COUNTS:
        return "number", _COUNTS[unit]
    if unit in _WORDS or unit.lower() in _WORDS:
        return _WORDS.get(unit) or _WORDS[unit.lower()]
    head, slash, per = unit.partition("/")
    amount, _, of_what = unit.partition(" ")
    if of_what and amount in _COUNTS and amount:  # 1.2k img/s
        kind, size = factor_of(of_what) or (of_what.strip(), 1.0)
        return kind, _COUNTS[amount] * size
    if slash and unit not in _BASES and (of := factor_of(head)) is not None and head:
        return f"{of[0]}/{per.strip()}", of[1]
    for base, kind in _BASES.items():
        if unit.endswith(base) and unit[: -len(base)] in _PREFIXES:
            return kind, _PREFIXES[unit[: -len(base)]] * _IN_BASE.get(base, 1.0)
    return None


def read_quantities(cells: pl.Series, /, *, rows: pl.Series, unit: str | None = None) -> Quantities:
    """Read cells as numbers. A single unit is kept; several of one kind are converted to the largest.

    unit is the one in the name of the column (inference_time_s), to which its cells are converted. Raises
    ArchiveError with two cells if their kinds differ, and with one if it is not a number.
    """
    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.Duration:
        return Quantities(cells.dt.total_microseconds() / 1e6, unit="s" if unit is None else None)
    if cells.dtype != pl.String or not read_numbers(cells)[1].any():
        return Quantities(_numbers(cells, rows))
    text, errors = _parted(_seconds(_plain(cells)))
    parts = pl.select(number=text.str.extract(_CELL, 1), unit=text.str.extract(_CELL, 2).fill_null("").str.strip_chars(" ()[]"))
    present = text.is_not_null() & ~text.str.to_lowercase().is_in(MISSING)
    units = parts["unit"].filter(present & parts["number"].is_not_null()).unique(maintain_order=True).to_list()
    if units in ([], [""]) or text.str.contains("%").any():
        return Quantities(
            _numbers(text.alias(cells.name), rows), None if errors is None else _numbers(errors, rows).cast(pl.Float64)
        )
    no_unit = parts["unit"].is_in([name for name in units if not _is_unit(name, alone=len(units) == 1)])
    if (present & (parts["number"].is_null() | no_unit)).any():  # names the cell that is neither
        kept = pl.when(no_unit).then(text).otherwise(pl.coalesce(parts["number"], text))
        return Quantities(_numbers(pl.select(kept).to_series().alias(cells.name), rows))
    return _in_one_unit(cells, parts, units, errors, rows=rows, unit=unit)


def holds_quantities(cells: pl.Series, /) -> bool:
    """Tell whether the column holds at least one number, with or without a unit, and nothing else but missing cells."""
    try:
        numbers = read_quantities(cells, rows=pl.Series(range(len(cells)))).numbers
    except ArchiveError:
        return False
    return numbers.null_count() < len(numbers)


def _in_one_unit(
    cells: pl.Series, parts: pl.DataFrame, units: list[str], errors: pl.Series | None, *, rows: pl.Series, unit: str | None
) -> Quantities:
    """Convert numbers, and those after ± in their cells, to one of their units."""
    numbers = _numbers(parts["number"].alias(cells.name), rows)
    known = {name: factor_of(name) or (name, 1.0) for name in units}
    if "B" in known and (unit == "" or "param" in cells.name.lower() or set(units) & {"k", "K", "M", "T"}):
        known["B"] = ("number", 1e9)  # 1.3B parameters
    if unit == "" and cells.name == "flops":  # GFLOPs, which many write GFLOPS
        known |= {name: ("number", of[1]) for name, of in known.items() if "work" in of[0] and "/" not in name}
    kinds = {name: of[0] for name, of in known.items()}
    if len(set(kinds.values())) > 1:
        raise ArchiveError(_of_two_kinds(cells, parts["unit"], kinds, rows))
    _check_plain_numbers(cells, parts["unit"], numbers, known, rows)
    target = unit if unit is not None else max(units, key=lambda name: known[name][1])
    to = known.get(target) or factor_of(target)
    if unit is not None and (to is None or to[0] != kinds[units[0]]):
        raise ArchiveError(
            f"column {cells.name!r}: {_example(cells, parts['unit'], units[0], rows)} cannot be converted to"
            f" {unit or 'a plain number'}; correct the unit or rename the column"
        )
    if to is not None and (len(units) > 1 or target != units[0]):
        scale = {name: of[1] / to[1] for name, of in known.items()}
        numbers = numbers * parts["unit"].replace_strict(scale, default=None, return_dtype=pl.Float64)
    errors = None if errors is None else read_quantities(errors, rows=rows, unit=target).numbers.cast(pl.Float64)
    called = [repr(name) for name in units if name] + ["plain numbers"] * ("" in units)
    remark = (
        f"{cells.name}: {', '.join(called[:-1])} and {called[-1]} are converted to {repr(target) if target else 'plain numbers'}"
        if len(units) > 1
        else None
    )
    return Quantities(numbers.alias(cells.name), errors, target if unit is None and target else None, remark)


def _numbers(cells: pl.Series, rows: pl.Series) -> pl.Series:
    return _numbers_of(cells, rows=rows)


def _check_plain_numbers(
    cells: pl.Series, units: pl.Series, numbers: pl.Series, known: dict[str, tuple[str, float]], rows: pl.Series
) -> None:
    """Refuse "25.6" beside "5.3M", which may be millions too; not "1200000", nor "850" beside "1.2k"."""
    least = min((of[1] for name, of in known.items() if name), default=1.0)
    if "" not in known or least == 1:
        return
    plain = numbers.cast(pl.Float64)
    is_short = (units == "") & (plain != 0) & ((plain != plain.round()) | ((plain.abs() < 1000) & (least > 1000)))
    if is_short.any():
        at = int(is_short.arg_true()[0])
        other = _example(cells, units, min(filter(None, known), key=lambda name: known[name][1]), rows)
        raise ArchiveError(
            f"column {cells.name!r}: {cells[at]!r} in row {rows[at]} has no unit, unlike {other}; give all cells their unit"
        )


def _plain(cells: pl.Series) -> pl.Series:
    """Write "$76.1 \\pm 0.4$", "€ 12", "1.2 × 10^9" and "3.5 ms ± 20 µs per loop" as number, error and unit."""
    text = cells.str.strip_chars()
    if text.str.contains(_HAS_POWER).any():
        text = text.str.replace_many(_RAISED).str.replace(_POWER, "${1}e${2}")
    if text.str.contains(r"[$€£¥()]| per loop").any():
        for pattern, plain in _WRITTEN:
            text = text.str.replace(pattern, plain.replace("$1", "${1}").replace("$2", "${2}"))
    return text.str.strip_chars()


def _is_unit(text: str, *, alone: bool) -> bool:
    """Tell a unit from the rest of a cell that is not a number: a date, "76.1/92.0", "0.8*"."""
    if not text or factor_of(text):
        return True
    return (alone or not re.search(r"\d", text)) and any(sign.isalpha() or sign in _SIGNS for sign in text)


def _parted(text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Split "76.1 ± 0.4 ms" into "76.1 ms" and "0.4 ms"; each takes the unit of the other if it has none."""
    main, own, error, its = (text.str.extract(_WITH_ERROR, k) for k in (1, 2, 3, 4))
    if not error.is_not_null().any():
        return text, None
    own, its = own.fill_null(""), its.fill_null("").str.strip_chars()
    of_main, of_error = (pl.when(one != "").then(one).otherwise(other) for one, other in ((own, its), (its, own)))
    parts = pl.select(
        main=pl.coalesce((main + " " + of_main).str.strip_chars(), text), error=(error + " " + of_error).str.strip_chars()
    )
    return parts["main"].alias(text.name), parts["error"].alias(f"{text.name} ±")


def _seconds(text: pl.Series) -> pl.Series:
    """Write durations, "0 days 00:00:01.5", "00:01:30" or "1h 20m", as seconds."""
    if text.str.contains(_DURATION).any():
        pattern = _DURATION
    elif text.str.contains(r"^\d+\s*[dhm][a-z]*[\s,]*\d+(\.\d+)?\s*[hms][a-z]*").any():
        pattern = _IN_PARTS
    else:
        return text
    days, hours, minutes, seconds = (
        text.str.extract(pattern, k).cast(pl.Float64, strict=False).fill_null(0.0) for k in (1, 2, 3, 4)
    )
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    is_duration = text.str.contains(pattern) & text.str.contains(r"\d")
    return pl.select(pl.when(is_duration).then(total.cast(pl.String) + " s").otherwise(text)).to_series().alias(text.name)


def _of_two_kinds(cells: pl.Series, units: pl.Series, kinds: dict[str, str], rows: pl.Series) -> str:
    first, *others = kinds
    other = next(name for name in others if kinds[name] != kinds[first])
    one, two = (_example(cells, units, name, rows) for name in (first, other))
    if "" in (first, other):
        unit, none = (two, one) if not first else (one, two)
        return f"column {cells.name!r}: {unit} has a unit, but {none} has none; give all cells their unit"
    return f"column {cells.name!r}: {one} and {two} are units of different kinds; give all cells one unit"


def _example(cells: pl.Series, units: pl.Series, unit: str, rows: pl.Series) -> str:
    number = re.compile(_NUMBER)
    at = [k for k, (cell, own) in enumerate(zip(cells, units, strict=True)) if own == unit and cell]
    best = next((k for k in at if number.match(cells[k].strip())), at[0])  # "$2" is also a number
    return f"{cells[best]!r} in row {rows[best]}"
