"""Draw the course of a search: the best and the front over births and over time, the outcomes, the lineage of the winner."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.choice import models_of
from ecosel.choosing.cleaning.frames import finished_only
from ecosel.dominance import hypervolume, nondominated_rows
from ecosel.objectives import STATUSES, Objective
from ecosel.output.characters import shortened
from ecosel.output.measures import Measure
from ecosel.output.sentences import number
from ecosel.readers.cells.numbers import looks_numeric, read_numbers
from ecosel.readers.table import ROW
from ecosel.report.charts.themes import layered, marked
from ecosel.report.sections.html import Chart, Drawing, columns_of
from ecosel.report.view.mark_data import HEIGHT, WIDTH
from ecosel.report.view.view import GroupView
from ecosel.selection import Selection

_CHECKPOINTS = 120
_MOST_ANCESTORS, _MOST_POINTS = 150, 2_000
_LOW = HEIGHT - 60
_CLOCKS = {"birth": "birth", "minute": "minutes since the first"}


def run_charts(selection: Selection, rows: pl.DataFrame, views: Sequence[GroupView], /) -> list[Chart]:
    """Return the figures of an evolved archive; none if the rows come from no search (without births or times of creation)."""
    timed = run_frame(rows)
    if timed is None:
        return []
    figures: list[Chart] = []
    statuses = _outcomes(rows)
    if statuses is not None:
        words = "Outcomes: " + ", ".join(f"{count:,} {status}" for status, count in statuses.iter_rows()) + "."
        figures.append(_charted("outcomes", outcomes_chart(statuses), {"outcomes": statuses}, words, group=None))
    for g, view in enumerate(views):
        used = models_of(selection, selection.groups[g]).join(timed, on=ROW, how="inner")
        clock = next((c for c in _CLOCKS if c in used.columns and used[c].null_count() == 0), None)
        if clock is not None and used.height > 1:
            reached = _with_quality(rows, view, timed) if len(views) == 1 else used
            figures += _progress(view, reached.sort(clock, ROW), used.sort(clock, ROW), clock=clock, group=g)
        figures += _lineage(rows, view, timed, group=g)
    return figures


def run_frame(rows: pl.DataFrame, /) -> pl.DataFrame | None:
    """Return the row number, birth, and minutes since the first row; None if the archive records no births."""
    if "birth" not in rows.columns:
        return None  # profiled models have times too, but were not searched for
    columns: dict[str, pl.Series] = {ROW: rows[ROW], "birth": read_numbers(rows["birth"])[0].cast(pl.Float64)}
    if "created_at" in rows.columns:
        seconds = _seconds(rows["created_at"])
        if seconds.null_count() < len(seconds):
            columns["minute"] = (seconds - seconds.min()) / 60
    known = [name for name, cells in columns.items() if name != ROW and cells.null_count() < len(cells)]
    return pl.DataFrame({name: columns[name] for name in (ROW, *known)}) if known else None


def _seconds(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_temporal():
        return cells.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    if cells.dtype == pl.String and not looks_numeric(cells):
        try:
            return _seconds(
                cells.str.replace("Z$", "+00:00").str.to_datetime(time_zone="UTC", strict=False).dt.replace_time_zone(None)
            )
        except pl.exceptions.PolarsError:
            return read_numbers(cells)[0].cast(pl.Float64)
    return read_numbers(cells)[0].cast(pl.Float64)


def _outcomes(rows: pl.DataFrame) -> pl.DataFrame | None:
    if "status" not in rows.columns or rows["status"].dtype != pl.String:
        return None
    counts = rows["status"].drop_nulls().value_counts().rename({"count": "models"})
    order = {status: k for k, status in enumerate(STATUSES)}
    if not counts.height or not set(counts["status"]) <= set(order):
        return None
    return counts.sort(pl.col("status").replace_strict(order, return_dtype=pl.Int64))


def outcomes_chart(counts: pl.DataFrame, /) -> alt.LayerChart:
    """Draw the number of candidates by outcome; counts (data `outcomes`) has status and models."""
    statuses = alt.Scale(domain=counts["status"].to_list())
    return layered(
        marked("outcomes", "bar", "bar").encode(tooltip=["status:N", "models:Q"]),
        marked("outcomes", "text", "note", align="left", dx=4).encode(text="models:Q"),
        x=alt.X("models:Q", axis=alt.Axis(title="candidates", tickCount=4)),
        y=alt.Y("status:N", sort=None, scale=statuses, axis=alt.Axis(title=None, ticks=False, labelPadding=6)),
        width=WIDTH, height=alt.Step(20),
    )  # fmt: skip


def _charted(id_: str, chart: alt.LayerChart, data: dict[str, pl.DataFrame], words: str, *, group: int | None) -> Chart:
    columns = {name: columns_of(frame) for name, frame in data.items()}
    return Chart(Drawing(id_, chart.to_dict(validate=False), columns, group), words, group=group)


def _with_quality(rows: pl.DataFrame, view: GroupView, timed: pl.DataFrame) -> pl.DataFrame:
    """Return all candidates with a result, including those whose costs were never measured."""
    quality = _quality(view)
    finished = finished_only(rows)[0].select(ROW, quality.column)
    return finished.with_columns(read_numbers(finished[quality.column])[0]).drop_nulls().join(timed, on=ROW, how="inner")


def _quality(view: GroupView) -> Objective:
    return next((o for o in view.objectives if o.is_quality), view.objectives[0])


def _progress(view: GroupView, reached: pl.DataFrame, used: pl.DataFrame, *, clock: str, group: int) -> Iterator[Chart]:
    quality, title = _quality(view), _CLOCKS[clock]
    values = reached[quality.column].cast(pl.Float64)
    best = values.cum_max() if quality.is_quality else values.cum_min()
    line = pl.DataFrame({"at": reached[clock], "best": best})
    line = line.filter(best.ne_missing(best.shift(1)) | (pl.int_range(pl.len()) == pl.len() - 1))
    points = pl.DataFrame({"row": reached[ROW], "at": reached[clock], "best": values})
    points = points.sample(min(points.height, _MOST_POINTS), seed=0).sort("at", "row")
    first = line.filter(pl.col("best") == line["best"][-1])["at"][0]
    part = view.measures[quality.column]
    found = f"{part.text(float(line['best'][-1]))}, reached at {clock} {number(round(float(first), 2))}"
    words = f"Best {part.name} so far of {reached.height:,} models: {found}."
    yield _charted(f"best-{group}-{clock}", best_chart(part, title), {"points": points, "best": line}, words, group=group)
    fronts = front_growth(view, used, clock)
    if fronts.height:
        words = f"Hypervolume of the front of each pair, as a share of its final value ({view.total:,} models)."
        yield _charted(f"front-{group}-{clock}", front_chart(fronts, title), {"fronts": fronts}, words, group=group)


def best_chart(quality: Measure, clock: str, /) -> alt.LayerChart:
    """Draw the best value so far (data `best`) over all candidates (data `points`)."""
    points = marked("points", "point", "run").encode(tooltip=["row:Q", "best:Q"])
    line = marked("best", "line", "front-line", interpolate="step-after")
    return layered(points, line, x=_clock_axis(clock), y=_quality_axis(quality), width=WIDTH, height=_LOW)


def _clock_axis(clock: str) -> alt.X:
    return alt.X("at:Q", axis=alt.Axis(title=clock, tickCount=6), scale=alt.Scale(nice=False, zero=False))


def _quality_axis(quality: Measure) -> alt.Y:
    tick = f"format(datum.value * {quality.factor:.0f}, '~r')" if quality.unit else "format(datum.value, '~s')"
    axis = alt.Axis(title=shortened(quality.title, 44), tickCount=5, labelExpr=tick)
    return alt.Y("best:Q", axis=axis, scale=alt.Scale(zero=False))


def front_growth(view: GroupView, used: pl.DataFrame, clock: str, /) -> pl.DataFrame:
    """Return at, cost and share: each pair's hypervolume so far, divided by the final one (reference: all worst values)."""
    ends = np.unique(np.linspace(1, used.height, min(_CHECKPOINTS, used.height)).astype(int))
    at = used[clock].cast(pl.Float64).to_numpy()
    records: list[tuple[float, str, float]] = []
    for choice in view.choices:
        if len(choice.objectives) != 2:
            continue
        costs = np.column_stack([o.costs(used[o.column]) for o in choice.objectives])
        front: NDArray[np.float64] = costs[:0]
        volumes = []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            front = np.concatenate([front, costs[start:end]])
            front = np.unique(front[nondominated_rows(list(np.ascontiguousarray(front.T)))], axis=0)
            volumes.append(float(hypervolume(front, costs.max(axis=0))))
        if volumes[-1] > 0:
            cost = shortened(choice.objectives[1].column, 30)
            records += [(float(at[end - 1]), cost, volume / volumes[-1]) for end, volume in zip(ends, volumes, strict=True)]
    return pl.DataFrame(records, schema={"at": pl.Float64, "cost": pl.String, "share": pl.Float64}, orient="row")


def front_chart(fronts: pl.DataFrame, clock: str, /) -> alt.LayerChart:
    """Draw the growth of the fronts (data `fronts`), a line for each cost."""
    costs = fronts["cost"].unique(maintain_order=True).to_list()
    key = alt.Legend(title=None, orient="bottom", symbolType="stroke", columns=2, labelLimit=200)
    colours = alt.Color("cost:N", scale=alt.Scale(domain=costs, range="category"), legend=key)
    dashes = alt.StrokeDash("cost:N", scale=alt.Scale(domain=costs), legend=key)
    lines = marked("fronts", "line", "run-line", interpolate="step-after").encode(color=colours, strokeDash=dashes)
    share = alt.Y("share:Q", axis=alt.Axis(title="hypervolume", format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    return layered(lines, x=_clock_axis(clock), y=share, width=WIDTH, height=_LOW)


def _lineage(rows: pl.DataFrame, view: GroupView, timed: pl.DataFrame, *, group: int) -> Iterator[Chart]:
    winner = (view.joint or view.choices[-1]).picks["trade_off"][0]
    part = view.measures[_quality(view).column]
    found = ancestors(rows, winner)
    clock = next((name for name in _CLOCKS if name in timed.columns), None)
    if found is None or clock is None:
        return
    name = view.known(winner)
    if not found:
        yield Chart(None, f"{name}, the best trade-off, has no parents here.", group=group)
        return
    # ancestors that lack another objective are drawn too
    values = dict(_with_quality(rows, view, timed).select(ROW, pl.col(part.objective.column).cast(pl.Float64)).iter_rows())
    times = dict(timed.select(ROW, clock).iter_rows())

    def place(row: int) -> tuple[float, float] | None:
        return (times[row], values[row]) if times.get(row) is not None and values.get(row) is not None else None

    edges = [(*a, *b) for child, parent in found if (a := place(parent)) and (b := place(child))]
    nodes = list(dict.fromkeys([winner, *(row for edge in found for row in edge)]))
    shown = [(row, *at, view.letter_of.get(row, "")) for row in nodes if (at := place(row))]
    if not edges:
        return
    schema = {"row": pl.Int64, "at": pl.Float64, "best": pl.Float64, "text": pl.String}
    data = {
        "edges": pl.DataFrame(edges, schema=dict.fromkeys(("at", "best", "x2", "y2"), pl.Float64), orient="row"),
        "nodes": pl.DataFrame(shown, schema=schema, orient="row"),
    }
    unseen = len(nodes) - len(shown)
    missing = f"; {unseen} more {'has' if unseen == 1 else 'have'} no {part.name} or no {clock}" if unseen else ""
    counted = _counted(sum(row != winner for row, *_ in shown), "ancestor")
    words = f"Lineage of {name}: {counted}, lines from parent to child{missing}."
    yield _charted(f"lineage-{group}", lineage_chart(part, _CLOCKS[clock]), data, words, group=group)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lineage_chart(quality: Measure, clock: str, /) -> alt.LayerChart:
    """Draw ancestors (data `nodes`) and the lines to their children (data `edges`)."""
    edges = marked("edges", "rule", "edge").encode(x2="x2:Q", y2="y2:Q")
    points = marked("nodes", "point", "front").encode(tooltip=["row:Q"])
    texts = [marked("nodes", "text", style, dx=9, dy=-9).encode(text="text:N") for style in ("halo", "letter")]
    return layered(edges, points, *texts, x=_clock_axis(clock), y=_quality_axis(quality), width=WIDTH, height=_LOW)


def ancestors(rows: pl.DataFrame, winner: int, /) -> list[tuple[int, int]] | None:
    """Return (child, parent) row numbers of all ancestors, nearest first; None if the archive names no parents."""
    if "parents" not in rows.columns or "candidate_id" not in rows.columns:
        return None
    row_of = {str(name): row for row, name in rows.select(ROW, "candidate_id").iter_rows()}
    parents = dict(rows.select(ROW, "parents").iter_rows())
    found: list[tuple[int, int]] = []
    queue, seen = [winner], {winner}
    while queue and len(seen) < _MOST_ANCESTORS:
        child = queue.pop(0)
        for name in _names(parents.get(child)):
            parent = row_of.get(name)
            if parent is not None:
                found.append((child, parent))
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
    return found


def _names(cell: Any) -> list[str]:
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return []
    return [str(name) for name in cell] if isinstance(cell, list) else []
