"""Turn the columns in use of a frame of any library into a polars frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ecosel.choosing.cleaning.rows import errors_of
from ecosel.choosing.cleaning.unfinished import state_columns
from ecosel.objectives import CANONICAL, Objective
from ecosel.readers.table import ROW, column_of, stripped

# What `ecosel profile` says of the error of a meter beside the energy.
SYSTEMATIC = ("energy_gain_error", "energy_offset_error_w", "mean_power_w", "device")


def columns_of(frame: Any, /) -> dict[str, str]:
    """Return by what its columns are called, without the blanks around a name, the names that they have in a frame.

    Of pandas the names of the index too. A blank that tells two columns apart stays.
    """
    names = _names_of(frame)
    short = [name.strip() for name in names]
    return {called if short.count(called) == 1 and called else name: name for called, name in zip(short, names, strict=True)}


def _names_of(frame: Any) -> tuple[str, ...]:
    if isinstance(frame, pl.LazyFrame):
        return tuple(frame.collect_schema().names())
    if _is_pandas(frame):
        names = [*frame.columns, *(name for name in frame.index.names if name is not None and name not in frame.columns)]
        return tuple(name for name in names if isinstance(name, str))
    if isinstance(frame, pl.DataFrame):
        return tuple(frame.columns)
    if hasattr(frame, "column_names"):  # pyarrow
        return tuple(frame.column_names)
    if hasattr(frame, "__arrow_c_stream__"):
        return tuple(pl.DataFrame(frame).columns)
    if hasattr(frame, "__dataframe__"):
        return tuple(frame.__dataframe__().column_names())
    raise ValueError(f"{type(frame).__name__} is not a frame; give polars, pandas or Arrow")


def lineage_columns(names: Sequence[str], /) -> tuple[str, ...]:
    """Return the columns that say which variant of which model a row is, where `ecosel compress` wrote them."""
    return ("variant", "parent") if {"variant", "parent", "precision_executed"} <= set(names) else ()


def columns_in_use(names: Sequence[str], objectives: Sequence[Objective], others: Sequence[str], /) -> list[str]:
    """Return the columns that a selection reads; the frame's other columns may have any type."""
    measured = [objective.column for objective in objectives or CANONICAL]
    lineage = [*lineage_columns(names), "precision_executed"]
    used = {ROW, *measured, *errors_of(names, measured), *state_columns(names), *SYSTEMATIC, *lineage, *others}
    return [name for name in dict.fromkeys(names) if name in used]


def numbered(frame: pl.DataFrame, /) -> pl.DataFrame:
    """Give each row its number, where it has none yet."""
    return frame if ROW in frame.columns else frame.with_row_index(ROW)


def as_frame(frame: Any, columns: Mapping[str, str], /) -> pl.DataFrame:
    """Return columns of a frame, by their names in it, as a polars frame; cells of text without the blanks around them."""
    read = _read(frame, list(dict.fromkeys(columns.values()))).rename({name: called for called, name in columns.items()})
    return read if ROW in columns else stripped(read)  # an archive's frame is stripped


def _read(frame: Any, columns: Sequence[str]) -> pl.DataFrame:
    if isinstance(frame, (pl.DataFrame, pl.LazyFrame)):
        return frame.lazy().select(columns).collect()
    if _is_pandas(frame):
        return pl.DataFrame([_pandas_column(frame, name) for name in columns])
    if hasattr(frame, "column_names"):
        return pl.DataFrame(frame.select(list(columns)))
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame).select(columns)
    return pl.DataFrame(pl.from_dataframe(frame)).select(columns)


def _is_pandas(frame: Any) -> bool:
    return type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "index") and hasattr(frame, "columns")


def _pandas_column(frame: Any, name: str) -> pl.Series:
    """Return a column, or a level of the index, whose cells may be of any types."""
    cells = frame[name] if name in frame.columns else frame.index.get_level_values(name)
    if getattr(cells, "ndim", 1) != 1:
        raise ValueError(f"column {name!r} appears more than once in the frame; rename one of them")
    if cells.dtype.kind in "iufb" and type(cells.dtype).__module__.startswith("numpy"):
        return pl.Series(name, cells.to_numpy())
    return column_of(name, [_plain(cell) for cell in cells.tolist()])


def _plain(cell: Any) -> Any:
    if type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, float) and cell != cell:  # pandas has no other missing value in a column of text
        return None
    return cell.item() if hasattr(cell, "item") and not isinstance(cell, (str, bytes)) else cell
