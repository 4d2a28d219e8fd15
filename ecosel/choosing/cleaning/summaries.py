"""Leave out the rows at the foot of a table that only summarise those above: means, totals, extremes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import CANONICAL, Objective
from ecosel.readers.cells.units import read_quantities
from ecosel.readers.table import ROW

# Most rows at the foot that are examined.
_MOST = 6
_MEAN, _SUM = r"mean|average|avg|mittelwert|durchschnitt|moyenne|media|promedio", r"(?:grand |sub)?total|sum|summe|gesamt"
_NAMED = re.compile(
    rf"(?:overall |column )?(?:(?P<mean>{_MEAN}|overall)|(?P<sum>{_SUM})|(?P<median>median)|(?P<least>min(?:imum)?)"
    r"|(?P<most>max(?:imum)?)|(?P<spread>std|sd|stdev|std\.? ?dev\.?|standard deviation))[.:]?", re.IGNORECASE,
)  # fmt: skip
_Statistic = Callable[[pl.Series], object]
_STATISTICS: dict[str, tuple[str, tuple[_Statistic, ...]]] = {
    "mean": ("mean", (pl.Series.mean,)),
    "sum": ("sum", (pl.Series.sum, pl.Series.mean)),  # of shares, a total is a mean
    "median": ("median", (pl.Series.median,)),
    "least": ("least value", (pl.Series.min,)),
    "most": ("largest value", (pl.Series.max,)),
    "spread": ("standard deviation", (pl.Series.std, lambda cells: cells.std(ddof=0))),
}


def without_summaries(
    frame: pl.DataFrame, objectives: Sequence[Objective], labels: Sequence[str], remarks: list[str], /
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate summaries from the models; of the summaries, return ROW, and `state` and `column` as for unfinished rows.

    A row is a summary if its label says so and each of its objectives is that figure of the rows above. One whose
    label alone says so is kept, with a remark.
    """
    nothing = frame.clear().select(ROW, state=pl.lit(""), column=pl.lit(None, dtype=pl.String))
    columns = [objective.column for objective in objectives or CANONICAL if objective.column in frame.columns]
    named = _named(frame, labels, columns)
    if not named:
        return frame, nothing
    models = frame.head(frame.height - max(named) - 1)
    try:
        numbers = [read_quantities(frame[column], rows=frame[ROW]).numbers.cast(pl.Float64) for column in columns]
    except ArchiveError:  # reported when the objectives are read
        return frame, nothing
    found = []
    for back, (label, statistic) in sorted(named.items(), reverse=True):
        name, ways = _STATISTICS[statistic]
        row = frame[ROW][-1 - back]
        values = [(cells[-1 - back], cells.head(models.height).drop_nulls()) for cells in numbers]
        stated = [(value, above) for value, above in values if value is not None]
        if stated and all(any(_is_near(value, way(above)) for way in ways) for value, above in stated):
            found.append(row)
            remarks.append(f"row {row}, {label!r}, is not a model: it holds the {name} of the rows above")
        elif len(stated) == len(values):
            remarks.append(f"row {row} is called {label!r}: if it is not a model, remove it with --where")
    state = "summary row" if len(found) == 1 else "summary rows"
    is_summary = pl.col(ROW).is_in(found)
    summaries = frame.filter(is_summary).select(ROW, state=pl.lit(state), column=pl.lit(None, dtype=pl.String))
    return frame.filter(~is_summary), summaries


def refuse_summaries(frame: pl.DataFrame, over: Sequence[str], /) -> None:
    """Raise ArchiveError for a row that is called the mean of the repeats among which it stands."""
    for column in over:
        if frame[column].dtype == pl.String:
            for row, cell in frame.select(ROW, column).unique(column, keep="first", maintain_order=True).iter_rows():
                if cell and _NAMED.fullmatch(cell.strip()):
                    raise ArchiveError(
                        f"--mean-over {column}: {cell!r} in row {row} is no repeat, but sums repeats up;"
                        f" remove such rows with --where \"{column} <> '{cell}'\""
                    )


def _named(frame: pl.DataFrame, labels: Sequence[str], columns: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Return the label and statistic of the last rows that are called after one, by their distance from the end."""
    if not labels or frame.height < 3 or frame[labels[0]].dtype != pl.String:
        return {}
    found = {}
    foot = frame.tail(_MOST).reverse()
    for back, (label, *cells) in enumerate(foot.select(labels[0], pl.col(columns).exclude(labels[0])).iter_rows()):
        named = _NAMED.fullmatch(label.strip()) if label else None
        if named is not None:
            found[back] = (label, str(named.lastgroup))
        elif any(cell not in (None, "") for cell in cells):  # a model; other rows are blank, or notes
            break
    return found if max(found, default=0) < frame.height - 2 else {}


def _is_near(value: float, figure: object) -> bool:
    """Tell whether a value is a figure, rounded to the digits that it shows."""
    shown = f"{value:.12g}"
    places = -1 if "e" in shown else len(shown.partition(".")[2])
    rounding = 0.51 * 10.0**-places if places >= 0 else 0.0
    return isinstance(figure, (int, float)) and abs(value - figure) <= max(rounding, 0.001 * abs(figure))
