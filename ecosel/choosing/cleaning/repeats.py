"""Average the repeats of a configuration (seeds, folds) into one model, with the standard error of each mean."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.table import ROW

# Column of the averaged models: the number of rows in each mean.
REPEATS = "ecosel:n"


def averaged(
    models: pl.DataFrame, over: Sequence[str], /, *, chosen: Sequence[Objective], limited: Sequence[str],
    errors: Sequence[str], keys: Sequence[str],
) -> tuple[pl.DataFrame, tuple[str, ...]]:  # fmt: skip
    """Average cleaned rows; return the models, and the columns with the errors of their means."""
    columns = [objective.column for objective in chosen]
    measured = list(dict.fromkeys([*columns, *limited]))
    # a label that no two rows share (such as a run's name) does not identify a configuration
    if keys and models.select(keys).n_unique() == models.height:
        keys = []
    means = mean_over(models, over, measured=measured, errors=errors, keys=keys)
    return means, tuple(f"{column}_std" for column in columns)


def repeats_in_words(models: pl.DataFrame, over: Sequence[str], /) -> str:
    """State how many rows were averaged for each model."""
    low, high = (int(end) for end in (models[REPEATS].min(), models[REPEATS].max()))  # type: ignore[arg-type]
    rows = f"{low}" if low == high else f"{low} to {high}"
    return f"each model is the mean over {', '.join(over)} of {rows} rows; the spread is the standard error of the mean (n - 1)"


def mean_over(
    frame: pl.DataFrame, over: Sequence[str], /, *, measured: Sequence[str], errors: Sequence[str], keys: Sequence[str]
) -> pl.DataFrame:
    """Return one row per configuration: the mean of each measured column, and `<column>_std` of that mean.

    keys name the columns that identify a configuration; if empty, all but those averaged over and measured. Any
    other column must agree within a configuration. The standard error is s / sqrt(n), with n - 1 in s; null for one row.
    """
    aside = {ROW, *over, *measured, *errors}
    keys = [column for column in keys if column not in aside] or [column for column in frame.columns if column not in aside]
    if not keys:
        frame = frame.with_columns(pl.lit(0).alias(f"{REPEATS}:all"))
        keys = [f"{REPEATS}:all"]
    groups = frame.group_by(keys, maintain_order=True)
    others = [column for column in frame.columns if column not in {*aside, *keys}]
    _check_agreement(groups.agg(pl.col(others).n_unique().name.suffix(":n"), pl.col(others)), frame, keys, others, over)
    means = groups.agg(
        pl.col(ROW).first(), *(pl.col(column).first() for column in [*others, *over]),
        *(pl.col(column).cast(pl.Float64).mean() for column in measured),
        *(_standard_error(column) for column in measured),
        pl.len().cast(pl.Int64).alias(REPEATS),
    )  # fmt: skip
    if means.height == frame.height and frame.height > 1:
        named = ", ".join(keys[:6]) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")
        raise ArchiveError(f"--mean-over {','.join(over)}: no two rows agree in {named}; identify a model with --label or --by")
    return means.select(ROW, *(column for column in frame.columns if column in means.columns and column != ROW),
                        *(f"{column}_std" for column in measured if f"{column}_std" not in frame.columns), REPEATS)  # fmt: skip


def _standard_error(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64).std(ddof=1).alias(f"{column}_std") / pl.col(column).count().sqrt()


def _check_agreement(
    counted: pl.DataFrame, frame: pl.DataFrame, keys: Sequence[str], others: Sequence[str], over: Sequence[str]
) -> None:
    differing = [column for column in others if counted[f"{column}:n"].max() != 1]
    if not differing:
        return
    column = differing[0]
    at = counted.filter(pl.col(f"{column}:n") > 1).row(0, named=True)
    values = list(dict.fromkeys(map(repr, at[column])))[:2]
    where = ", ".join(f"{key} = {at[key]}" for key in keys[:3])
    listed = ", ".join(differing[:8]) + (f" and {len(differing) - 8} more" if len(differing) > 8 else "")
    raise ArchiveError(
        f"--mean-over {','.join(over)}: {column} differs too ({' and '.join(values)} where {where}); add the differing columns"
        f" with --mean-over if they mark repeats, or with --by or --label if they mark models: {listed}"
    )
