"""Turn a group view into the rows of each mark of its charts: a frame each for points, letters and strips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from ecosel.choosing.choice import Choice
from ecosel.choosing.cleaning.rows import Z95, measured_error
from ecosel.readers.table import ROW
from ecosel.report.view.view import HEAT_CELLS, GroupView, Panel, told_apart

# Pixels of a panel.
WIDTH, HEIGHT = 288, 216
# Fronts with more models than this are drawn without error bars.
_MOST_ERRORS = 150
_MOST_SHARES = 8
# More models that are out of view, and have no role in this panel, would crowd its edges.
_MOST_FOREIGN = 4
WINS, RESAMPLED = "best trade-off, of all weightings", ("on the front, resampled", "best trade-off, resampled")


def field(view: GroupView, column: str) -> int:
    """Return the number k of the field `v<k>` that holds an objective's values."""
    return next(k for k, objective in enumerate(view.objectives) if objective.column == column)


def model_rows(view: GroupView, /) -> pl.DataFrame:
    """Return all models on the page: row, letter, name, v0, v1, ..."""
    rows = view.models[ROW].to_list()
    letters = pl.Series([view.letter_of.get(row) for row in rows], dtype=pl.String)
    values = {f"v{k}": view.models[o.column].cast(pl.Float64) for k, o in enumerate(view.objectives)}
    return pl.DataFrame({"row": rows, "letter": letters, "name": [view.names[row] for row in rows], **values})


def front_of(models: pl.DataFrame, view: GroupView, choice: Choice) -> pl.DataFrame:
    """Return the models on the front of a choice that are on the page, as given by model_rows."""
    front = next(rows for own, rows in zip(view.choices, view.fronts, strict=True) if own is choice)
    return models.filter(pl.col("row").is_in(pl.Series(front).implode()))


def heat_rows(view: GroupView, panel: Panel, *, zoom: bool, log: bool) -> pl.DataFrame:
    """Return the corners and the count n of each cell that is not empty."""
    heat, ((x0, x1), (y0, y1)) = panel.heat[zoom, log], panel.domains(zoom=zoom, log=log)
    columns, rows = HEAT_CELLS
    at = np.arange(columns + 1) / columns
    xs = x0 * (x1 / x0) ** at if log else x0 + (x1 - x0) * at
    ys = y0 + (y1 - y0) * np.arange(rows + 1) / rows
    i, j = heat.cell.T
    x, y = (field(view, a.objective.column) for a in (panel.x, panel.y))
    return pl.DataFrame({f"v{x}": xs[i], "x2": xs[i + 1], f"v{y}": ys[j], "y2": ys[j + 1], "n": heat.count})


def error_rows(view: GroupView, panel: Panel) -> pl.DataFrame:
    """Return a line for each 95 % interval of a model on the front; none if there are too many, or no errors."""
    x, y = (field(view, a.objective.column) for a in (panel.x, panel.y))
    rows = view.models.filter(pl.col(ROW).is_in(pl.Series(panel.choice.front.array).implode()))
    columns: dict[str, list[float]] = {f"v{x}": [], "x2": [], f"v{y}": [], "y2": []}
    if rows.height <= _MOST_ERRORS:
        at = {k: rows[view.objectives[k].column].cast(pl.Float64).to_numpy() for k in (x, y)}
        for k in (x, y):
            below, above = measured_error(rows, view.objectives[k], rows.columns)
            for n in np.flatnonzero((below > 0) | (above > 0)):
                low, high = at[k][n] - Z95 * below[n], at[k][n] + Z95 * above[n]
                ends = {x: (low, high), y: (at[y][n], at[y][n])} if k == x else {x: (at[x][n], at[x][n]), y: (low, high)}
                for name, number in ((f"v{x}", ends[x][0]), ("x2", ends[x][1]), (f"v{y}", ends[y][0]), ("y2", ends[y][1])):
                    columns[name].append(float(number))
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


def role_rows(view: GroupView, panel: Panel, *, zoom: bool, log: bool) -> pl.DataFrame:
    """Return the models with the lowest cost and the highest quality of a panel; those out of view are placed at its edge."""
    picks = panel.choice.picks
    shown = {model.row for model in view.letters}
    found = [(row, role) for a, role in ((panel.x, "lowest"), (panel.y, "highest"))
             for row in picks[f"best:{a.objective.column}"] if row in shown]  # fmt: skip
    return _placed(view, panel, found, name="role", zoom=zoom, log=log).drop("cut_x", "cut_y")


def letter_rows(view: GroupView, panel: Panel, *, zoom: bool, log: bool, size: tuple[int, int] = (WIDTH, HEIGHT)) -> pl.DataFrame:
    """Return the letters of a panel of a size in px, each shifted (dx, dy) from its model so that it covers no other.

    Models at the same place share a label. If many models of other panels are out of view, they are left out.
    """
    rows = _placed(view, panel, [(m.row, m.letter) for m in view.letters], name="text", zoom=zoom, log=log)
    own = {row for picks in panel.choice.picks.values() for row in picks}
    own |= set(view.joint.picks["trade_off"] if view.joint else ())
    foreign = ~pl.col("row").is_in(list(own)) & ((pl.col("cut_x") != 0) | (pl.col("cut_y") != 0))
    if rows.filter(foreign).height > _MOST_FOREIGN:
        rows = rows.filter(~foreign)
    place = [name for name in rows.columns if name not in ("row", "text")]
    rows = rows.group_by(place, maintain_order=True).agg(pl.col("row").first(), pl.col("text"))
    rows = rows.with_columns(pl.Series("text", [_joined(letters) for letters in rows["text"]], dtype=pl.String))
    x, y = (field(view, a.objective.column) for a in (panel.x, panel.y))
    (x0, x1), (y0, y1) = panel.domains(zoom=zoom, log=log)
    px = [size[0] * (math.log(v / x0) / math.log(x1 / x0) if log else (v - x0) / (x1 - x0)) for v in rows[f"v{x}"]]
    py = [size[1] * (1 - (v - y0) / (y1 - y0)) for v in rows[f"v{y}"]]
    texts = [text + {-1: "←", 1: "→", 0: ""}[cut_x] + {-1: "↓", 1: "↑", 0: ""}[cut_y]
             for text, cut_x, cut_y in rows.select("text", "cut_x", "cut_y").iter_rows()]  # fmt: skip
    offsets = _offsets(list(zip(px, py, strict=True)), [8 * len(text) for text in texts], size)
    return rows.drop("cut_x", "cut_y").with_columns(
        pl.Series("text", texts, dtype=pl.String),
        pl.Series("dx", [dx for dx, _ in offsets], dtype=pl.Float64),
        pl.Series("dy", [dy for _, dy in offsets], dtype=pl.Float64),
    )


def _joined(letters: Sequence[str]) -> str:
    return ",".join(letters) if len(letters) <= 3 else f"{letters[0]},{letters[1]} +{len(letters) - 2}"


def _placed(view: GroupView, panel: Panel, found: Iterable[tuple[int, str]], *, name: str, zoom: bool, log: bool) -> pl.DataFrame:
    x, y = (field(view, a.objective.column) for a in (panel.x, panel.y))
    (x0, x1), (y0, y1) = panel.domains(zoom=zoom, log=log)
    columns = [panel.x.objective.column, panel.y.objective.column]
    lettered = view.models.filter(pl.col(ROW).is_in([model.row for model in view.letters]))
    at = {row: (float(a), float(b)) for row, a, b in lettered.select(ROW, *columns).iter_rows()}
    records = []
    for row, text in found:
        a, b = at[row]
        records.append((row, text, min(max(a, x0), x1), min(max(b, y0), y1), (a > x1) - (a < x0), (b > y1) - (b < y0)))
    schema = {"row": pl.Int64, name: pl.String, f"v{x}": pl.Float64, f"v{y}": pl.Float64, "cut_x": pl.Int8, "cut_y": pl.Int8}
    return pl.DataFrame(records, schema=schema, orient="row")


def _offsets(points: Sequence[tuple[float, float]], widths: Sequence[int], size: tuple[int, int]) -> list[tuple[float, float]]:
    """Place labels one after another where they cover the fewest points and labels, preferably at the upper right."""
    boxes: list[tuple[float, float, float, float]] = []
    chosen = []
    for (px, py), width in zip(points, widths, strict=True):
        best, least = (0.0, 0.0), math.inf
        for far, (ux, uy) in ((far, way) for far in (14, 23, 34) for way in _WAYS):
            dx, dy = ux * (far + (width - 8) / 2), uy * far
            box = (px + dx - width / 2, py + dy - 7, px + dx + width / 2, py + dy + 7)
            outside = box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1]
            covered = sum(_overlap(box, other) for other in boxes) + sum(
                _overlap(box, (qx - 8, qy - 8, qx + 8, qy + 8)) for qx, qy in points
            )
            cost = covered + 120 * outside + far
            if cost < least:
                best, least = (dx, dy), cost
        boxes.append((px + best[0] - width / 2, py + best[1] - 7, px + best[0] + width / 2, py + best[1] + 7))
        chosen.append(best)
    return chosen


_WAYS = ((0.8, -0.8), (0.0, -1.0), (-0.8, -0.8), (1.0, 0.0), (-1.0, 0.0), (0.8, 0.8), (0.0, 1.0), (-0.8, 0.8))


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def segment_rows(view: GroupView, choice: Choice) -> pl.DataFrame:
    """Return, for two objectives, the interval of the first weight's share in which each model is the best trade-off."""
    found: dict[tuple[float, float], int] = {}
    shares, weightings = choice.wins.shares, choice.wins.weightings
    for position in np.flatnonzero(shares > 0):
        low = float(weightings[position, 0] - shares[position] / 2)
        row = choice.front[int(position)]
        key = (low, low + float(shares[position]))
        if key not in found or (row in view.letter_of and found[key] not in view.letter_of):
            found[key] = row
    schema = {"row": pl.Int64, "text": pl.String, "name": pl.String, "low": pl.Float64, "high": pl.Float64, "odd": pl.Int64}
    records = [(row, view.letter_of.get(row, "") if high - low > 0.05 else "", view.in_full(row), low, high, k % 2)
               for k, ((low, high), row) in enumerate(sorted(found.items()))]  # fmt: skip
    return pl.DataFrame(records, schema=schema, orient="row")


def share_rows(view: GroupView, choice: Choice) -> pl.DataFrame:
    """Return the models that win most often, with shares of all weightings, and of resampled measurements if there are any."""
    wins, member = choice.win_shares(), choice.resampling
    weight = {
        row: wins.get(row, 0.0) + (member.of(row)[1] if member else 0.0) for row in [*wins, *(member.rows if member else ())]
    }
    first = [row for row in choice.picks["trade_off"] if row in view.letter_of]
    rows = [row for row in dict.fromkeys([*first, *sorted(weight, key=lambda row: -weight[row])]) if row in view.names][
        :_MOST_SHARES
    ]
    records = []
    names = told_apart([view.in_full(row) for row in rows], rows, 34)
    for row, name in zip(rows, names, strict=True):
        measures = [(WINS, wins.get(row, 0.0))]
        if member:
            measures += list(zip(RESAMPLED, member.of(row), strict=True))
        records += [(row, name, measure, part) for measure, part in measures]
    schema = {"row": pl.Int64, "name": pl.String, "measure": pl.String, "share": pl.Float64}
    return pl.DataFrame(records, schema=schema, orient="row")
