"""Turn a frame of any library into the rows and columns that can be compared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.errors import ArchiveError
from ecosel.objectives import ACCURACY, CANONICAL, METRICS, Objective, is_share
from ecosel.readers.cells.numbers import numbers, read_numbers
from ecosel.readers.cells.units import read_quantities
from ecosel.readers.table import ROW

# Somebody reads the choice of each group; grouping by a column that names every row is a mistake, and would take minutes.
_MOST_GROUPS = 2_000
# Two-sided 95 % quantile of the normal distribution.
Z95 = 1.959963984540054

Values = NDArray[np.float64]


# Other usual names for the error of a column than `_std`.
_ERROR = re.compile(r"(?:[ _./-]\(?|\()(std|sd|stdev|stddev|std_dev|stderr|std_err|se|sem|standard_error)\)?", re.IGNORECASE)


def errors_of(names: Sequence[str], columns: Sequence[str], /) -> list[str]:
    """Return the columns that state the measurement errors of others."""
    usual = [name for column in columns for name in (f"{column}_std", f"{column}_low", f"{column}_high") if name in names]
    return [*usual, *renamed_errors(names, columns)]


def renamed_errors(names: Sequence[str], columns: Sequence[str], /) -> dict[str, str]:
    """Map the other usual names of a column's error, such as `acc_stderr` and `std_acc`, to `<column>_std`."""
    found = {}
    for column in columns:
        if f"{column}_std" in names:
            continue
        # acc,none and acc_stderr,none of lm-evaluation-harness
        stem, comma, filter_ = re.sub(r"[ _./-]mean$", "", column).partition(",")
        for name in names:
            own = name.removesuffix(f"{comma}{filter_}") if comma and name.endswith(f"{comma}{filter_}") else name
            is_error = own.startswith(stem) and _ERROR.fullmatch(own[len(stem) :]) and len(own) > len(stem) + 1
            if is_error or own.lower() in (f"std_{stem}".lower(), f"stderr_{stem}".lower()):
                found[name] = f"{column}_std"
                break
    return found


def canonical_objectives(frame: pl.DataFrame, remarks: list[str], /) -> tuple[Objective, ...]:
    """Return the canonical objectives for which frame has values; append a remark on each empty one."""
    found = [objective for objective in CANONICAL if objective.column in frame.columns]
    empty = []
    for objective in found:
        read, unreadable = read_numbers(frame[objective.column])
        if read.null_count() == frame.height and not unreadable.any():
            empty.append(objective)
    remarks.extend(f"{objective.column} has no values and is not an objective" for objective in empty)
    chosen = tuple(objective for objective in found if objective not in empty)
    if len(chosen) < 2:
        raise ValueError("name the objectives: fewer than two canonical columns have values")
    return chosen


def percent_ideal(models: pl.DataFrame, remarks: list[str]) -> dict[str, float]:
    """Return the ideal of `accuracy` if it is in percent rather than a fraction."""
    if not 1 < models["accuracy"].max() <= 100:  # type: ignore[operator]
        return {}
    if models["accuracy"].median() <= 1:  # type: ignore[operator]
        above = models.filter(pl.col("accuracy") > 1)
        raise ArchiveError(
            f"column 'accuracy': {above['accuracy'][0]:g} in row {above[ROW][0]} among fractions; is it a percentage?"
            " correct it, or give the ideal with --ideal accuracy=V"
        )
    remarks.append(f"accuracy exceeds 1 and is read as percent: its ideal is 100{_fractions_among(models, 'accuracy')}")
    return {"accuracy": 100.0}


def _fractions_among(models: pl.DataFrame, column: str) -> str:
    """Point out values of up to 1 among percentages."""
    small = models.filter((pl.col(column) > 0) & (pl.col(column) <= 1))
    if not small.height:
        return ""
    others = f" (and {small.height - 1:,} more)" if small.height > 1 else ""
    return f"; correct {small[column][0]:g} in row {small[ROW][0]}{others} if it is a fraction, not a percentage"


def usual_end(objective: Objective, models: pl.DataFrame) -> str | None:
    """Suggest, but never use, an ideal for a quality whose name and values are those of a share."""
    values = models[objective.column]
    if objective == ACCURACY or not objective.is_quality or not is_share(objective.column):
        return None
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    if low < 0 or high > 100:
        return None
    end = 1 if high <= 1 else 100
    option = shlex.join(["--ideal", f"{objective.column}={end}"])
    return (
        f"{objective.column} has the name of a share, and lies within 0..{end}: if {end} is its highest possible value,"
        f" add {option}{_fractions_among(models, objective.column) if end > 1 else ''}"
    )


def in_one_unit(frame: pl.DataFrame, columns: Sequence[str], remarks: list[str], /) -> tuple[pl.DataFrame, dict[str, str]]:
    """Read the cells of columns as numbers, one unit per column; return the frame, and the units that the names do not state."""
    units: dict[str, str] = {}
    read: list[pl.Series] = []
    for column in columns:
        metric = METRICS.get(column)
        stated = None if metric is None or metric.unit == "%" else metric.unit
        found = read_quantities(frame[column], rows=frame[ROW], unit=stated)
        read.append(found.numbers)
        if found.unit:
            units[column] = found.unit
        if found.remark:
            remarks.append(found.remark)
        if found.errors is not None and f"{column}_std" not in frame.columns:
            read.append(found.errors.alias(f"{column}_std"))
            remarks.append(f"the number after ± in {column} is read as its standard deviation")
    frame = frame.with_columns(read)
    ends = [name for name in errors_of(frame.columns, columns) if name not in columns and frame[name].dtype == pl.String]
    of = {name: next(column for column in columns if name.startswith(column)) for name in ends}
    return frame.with_columns(
        read_quantities(frame[name], rows=frame[ROW], unit=units.get(of[name])).numbers for name in ends
    ), units


def used_rows(
    frame: pl.DataFrame, chosen: Sequence[Objective], limited: Sequence[str] = ()
) -> tuple[pl.DataFrame, tuple[str, ...], pl.DataFrame]:
    """Clean the objectives, their errors, and the columns with a limit.

    Return the rows used, the error columns among them, and the rows left out.
    """
    columns = [objective.column for objective in chosen]
    errors = tuple(
        name
        for column in columns
        for name in ([f"{column}_std"] if f"{column}_std" in frame.columns else [f"{column}_low", f"{column}_high"])
        if name in frame.columns and name not in columns
    )
    cleaned = frame.with_columns([numbers(frame[name], rows=frame[ROW]) for name in dict.fromkeys([*columns, *errors, *limited])])
    incomplete = pl.any_horizontal(pl.col(columns).is_null())
    missing = cleaned.filter(incomplete).select(
        ROW,
        pl.concat_str([pl.when(pl.col(c).is_null()).then(pl.lit(c)) for c in columns], separator=", ", ignore_nulls=True).alias(
            "missing"
        ),
    )
    used = cleaned.filter(~incomplete) if missing.height else cleaned
    if not used.height:
        if not frame.height:
            raise ArchiveError("no row is left to choose from: there is none")
        lacking = max(columns, key=lambda column: cleaned[column].null_count())
        raise ArchiveError(
            "no row has a value in every objective;"
            f" {lacking!r} is missing in {cleaned[lacking].null_count()} of {frame.height} rows"
        )
    _check_errors(used, columns, errors)
    return used, errors, missing


def remark_on_errors(used: pl.DataFrame, errors: Sequence[str], remarks: list[str]) -> None:
    """Report missing measurement errors, and errors that are stated twice."""
    for name in errors:
        if missing := used[name].null_count():
            remarks.append(f"{name} is missing in {missing:,} of {used.height:,} rows, which count as exact")
        ends = [other for other in (f"{name[:-4]}_low", f"{name[:-4]}_high") if name.endswith("_std") and other in used.columns]
        if ends:
            remarks.append(f"{name} is used, not {' and '.join(ends)}")


def _check_errors(used: pl.DataFrame, columns: Sequence[str], errors: Sequence[str]) -> None:
    for column in columns:
        for name, wrong, rule in (
            (f"{column}_std", pl.col(f"{column}_std") < 0, "a standard deviation cannot be negative"),
            (f"{column}_low", pl.col(f"{column}_low") > pl.col(column), f"the lower end cannot be above {column}"),
            (f"{column}_high", pl.col(f"{column}_high") < pl.col(column), f"the upper end cannot be below {column}"),
        ):
            if name in errors and (bad := used.filter(wrong)).height:
                raise ArchiveError(f"column {name!r}: {bad[name][0]:g} in row {bad[ROW][0]}; {rule}")


def group_key(cells: pl.Series) -> pl.Series:
    """Return a grouping column without NaN and infinity, and with text such as "8.0" as a whole number."""
    if cells.dtype.is_float():
        return pl.select(pl.when(cells.is_finite()).then(cells)).to_series().alias(cells.name)
    if cells.dtype == pl.String:
        whole = cells.cast(pl.Int64, strict=False)
        if whole.cast(pl.String).eq_missing(cells).all():
            return whole
    return cells


def grouped(models: pl.DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any] | None, pl.DataFrame]]:
    if not by:
        yield None, models
        return
    groups = models.select(by).n_unique()
    if groups > _MOST_GROUPS:
        raise ArchiveError(
            f"--by {', '.join(by)} makes {groups:,} groups; at most {_MOST_GROUPS:,} are allowed;"
            " group by another column, or select fewer rows with --where"
        )
    for key, rows in models.group_by(by, maintain_order=True):
        yield dict(zip(by, key, strict=True)), rows


def measured_error(rows: pl.DataFrame, objective: Objective, errors: Sequence[str]) -> tuple[Values, Values]:
    """Return the standard deviations [n] towards lower and higher values, 0 if none was measured."""
    measured = rows[objective.column].cast(pl.Float64)
    if (name := f"{objective.column}_std") in errors:
        std = rows[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        return std, std
    ends = [rows[name].cast(pl.Float64) if name in errors else measured
            for name in (f"{objective.column}_low", f"{objective.column}_high")]  # fmt: skip
    low, high = (pl.select(pl.coalesce(end, measured)).to_series() for end in ends)
    return (measured - low).to_numpy() / Z95, (high - measured).to_numpy() / Z95
