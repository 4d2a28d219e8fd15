"""Turn a selection into a JSON document, a frame, a table for people or Markdown."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ecosel.archive import table
from ecosel.archive.table import ROW
from ecosel.dominance import nondominated_mask, nondominated_rank
from ecosel.scoring import distances
from ecosel.selection import Choice, Group, Selection
from ecosel.verdict import certainty, gain, number, share

WIDTH = 80


def as_document(selection: Selection) -> dict[str, Any]:
    """Return the selection as one object of JSON types; `front` and `picks` hold row numbers of the archive."""
    origin, rule = selection.origin, selection.rule
    columns = [o.column for o in selection.objectives]
    return {
        "archive": {
            "path": origin.path, "rows": selection.rows, "used": selection.models.height,
            "left_out": {"missing": selection.left_out.height, "filtered": origin.filtered, "unfinished": origin.unfinished},
        },
        "rule": {
            "scale": rule.scale, "preset": rule.preset,
            "ideal": {column: _common([choice.ideal[column] for choice in selection.choices if column in choice.ideal]) for column in columns},
            "weights": {column: rule.weights.get(column, 1.0) for column in columns},
            "seed": selection.seed,
        },
        "groups": [
            {"group": group.key, "selections": [_choice_document(selection, choice) for choice in group.choices]}
            for group in selection.groups
        ],
        "remarks": list(selection.remarks),
    }  # fmt: skip


def _common(values: list[float]) -> float | None:
    """Return the one value that all selections share; where they differ, each states its own."""
    return values[0] if values and all(value == values[0] for value in values) else None


def _choice_document(selection: Selection, choice: Choice) -> dict[str, Any]:
    columns = [o.column for o in choice.objectives]
    shown = _shown(choice)
    document: dict[str, Any] = {
        "kind": choice.kind,
        "objectives": [{"column": o.column, "sense": o.sense} for o in choice.objectives],
        "used": choice.used,
        "ideal": dict(choice.ideal), "scale": dict(choice.scale),
        "front": list(choice.front),
        "picks": {role: list(rows) for role, rows in choice.picks.items()},
        "distance": float(choice.distance.min()),
        "nearest": [[row, float(choice.distance[choice.at(row)])] for row in choice.nearest],
        "acceptability": {str(row): part for row, part in choice.shares().items()},
        "acceptability_error": choice.acceptability.error,
        "values": {str(row): dict(zip(columns, choice.values[choice.at(row)].tolist(), strict=True)) for row in shown},
        "labels": {str(row): selection.label(row) for row in shown} if selection.labels else {},
    }  # fmt: skip
    if choice.membership is not None:
        for key, shares in (("on_front", choice.membership.on_front), ("pick", choice.membership.pick)):
            document[f"probability_{key}"] = {str(row): float(shares[choice.at(row)]) for row in shown}
    return document


def as_json(selection: Selection) -> str:
    return json.dumps(as_document(selection), ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n"


def picks_frame(selection: Selection) -> pl.DataFrame:
    """Return one row for each group, selection, role and model."""
    columns = [o.column for o in selection.objectives]
    records = []
    for group in selection.groups:
        for choice in group.choices:
            named = [o.column for o in choice.objectives]
            near = {f"nearest:{k}": (row,) for k, row in enumerate(choice.nearest, start=1)} if choice.top > 1 else {}
            for role, rows in {**choice.picks, **near}.items():
                for row in rows:
                    at = choice.at(row)
                    values = dict(zip(named, choice.values[at].tolist(), strict=True))
                    member = choice.membership
                    records.append({
                        **{f"group:{column}": cell for column, cell in (group.key or {}).items()},
                        "kind": choice.kind, "objectives": " ".join(named), "role": role, "row": row, "label": selection.label(row),
                        **{_unlike_own(column): values.get(column) for column in columns},
                        "distance": float(choice.distance[at]), "acceptability": float(choice.acceptability.shares[at]),
                        "probability_on_front": None if member is None else float(member.on_front[at]),
                        "probability_pick": None if member is None else float(member.pick[at]),
                    })  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


_OWN = ("kind", "objectives", "role", "row", "label", "distance", "acceptability", "probability_on_front", "probability_pick")


def _unlike_own(column: str) -> str:
    return f"objective:{column}" if column in _OWN or column.startswith("group:") else column


def marked_frame(selection: Selection, archive: pl.DataFrame) -> pl.DataFrame:
    """Return the used rows of archive (it holds ROW) with `on_front`, `rank` and `distance` beside them.

    They belong to the joint selection of the row's group. rank 0 is the front, 1 the front of the rest, and so on;
    distance is taken with the ideal and scale of the front.
    """
    taken = {"row", "on_front", "rank", "distance"} & set(archive.columns)
    if taken:
        raise ValueError(f"the archive has a column {sorted(taken)[0]!r} already; rename it with --derive")
    parts = []
    for group in selection.groups:
        choice = group.choices[-1]
        rows = models_of(selection, group)
        values = np.column_stack([rows[o.column].cast(pl.Float64).to_numpy() for o in choice.objectives])
        costs = np.column_stack([o.costs(rows[o.column]) for o in choice.objectives])
        ideal, scale, weights = (np.array(list(part.values())) for part in (choice.ideal, choice.scale, choice.weights))
        parts.append(pl.DataFrame({
            ROW: rows[ROW].cast(pl.Int64), "on_front": nondominated_mask(costs), "rank": nondominated_rank(costs),
            "distance": distances(values / scale - ideal / scale, weights),
        }))  # fmt: skip
    marks = pl.concat(parts)
    return archive.join(marks, on=ROW, how="inner", maintain_order="left").rename({ROW: "row"})


def as_plain(cells: pl.Series) -> pl.Series:
    """Return a column that text formats can hold: lists, structs, bytes and the like become text."""
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Duration, pl.Object):
        return pl.Series(cells.name, [None if cell is None else table.as_text(cell) for cell in cells.to_list()], dtype=pl.String)
    return cells


def models_of(selection: Selection, group: Group) -> pl.DataFrame:
    """Return the used rows of one group."""
    if group.key is None:
        return selection.models
    return selection.models.filter(*(pl.col(column).eq_missing(pl.lit(cell)) for column, cell in group.key.items()))


@dataclass(frozen=True)
class _Line:
    """One model of a table: what stands in the cells, and whether it is the best trade-off."""

    cells: tuple[str, ...]
    picked: bool


def as_text(selection: Selection, *, color: bool = False, width: int = WIDTH) -> str:
    """Return the selection as tables for people, readable in 80 columns."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, force_terminal=color, color_system="standard" if color else None, width=width, legacy_windows=False, highlight=False,
        markup=False, emoji=False,
    )  # fmt: skip
    console.print(summary(selection), soft_wrap=False)
    for group, choice in _shown_choices(selection):
        head, lines = _lines(selection, choice)
        grid = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True, header_style="bold" if color else "")
        labelled = bool(selection.labels)
        rules = _rules(choice, labelled=labelled)
        for k, name in enumerate(head):
            text = k == 2 and labelled
            values = [line.cells[k] for line in lines]
            longest = max((len(cell) for cell in values), default=0)
            grid.add_column(
                _wrap(name, 12), "\n".join(rule[k] for rule in rules), justify="left" if text or k == 0 else "right",
                no_wrap=not text, overflow="ellipsis" if text else "crop", min_width=None if text else longest,
                max_width=max(12, width - 62) if text and len(choice.objectives) > 2 else 34 if text else None, footer_style="dim" if color else "",
            )  # fmt: skip
        for line in lines:
            grid.add_row(*(Text(cell) for cell in line.cells), style="bold green" if color and line.picked else "")
        console.print()
        console.print(Text(title(group, choice), style="bold" if color else ""))
        console.print(Padding(grid, (0, 0, 0, 1)))
        for sentence in _sentences(selection, choice):
            console.print(Padding(Text(sentence), (0, 0, 0, 1)))
    if any(len(choice.picks["trade_off"]) > 0 for choice in selection.choices):
        console.print()
        console.print(LEGEND)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


LEGEND = "> best trade-off   * best of its column   wins: share of all weightings under which the model is the best trade-off"


def as_markdown(selection: Selection) -> str:
    """Return the tables as GitHub Markdown."""
    parts = [_escaped(summary(selection)).replace("\n", "  \n")]
    for group, choice in _shown_choices(selection):
        head, lines = _lines(selection, choice)
        cells = [list(head), ["---"] * len(head)]
        cells += [[f"**{_escaped(cell)}**" if line.picked and cell else _escaped(cell) for cell in line.cells] for line in lines]
        cells += [[_escaped(cell) for cell in rule] for rule in _rules(choice, labelled=bool(selection.labels))]
        cells[0] = [_escaped(cell) for cell in cells[0]]
        parts.append(f"**{_escaped(title(group, choice))}**")
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in cells))
        parts.append("  \n".join(_escaped(sentence) for sentence in _sentences(selection, choice)))
    parts.append(_escaped(LEGEND))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    text = "\n".join(map(printable, text.split("\n")))
    for character in "\\|*_`<>[]#":
        text = text.replace(character, "\\" + character)
    return text


def summary(selection: Selection) -> str:
    """Say which archive, how many rows, and by which rule."""
    origin, rule = selection.origin, selection.rule
    reasons = {"miss a value": selection.left_out.height, "filtered": origin.filtered, "unfinished": origin.unfinished}
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    used = f"{selection.models.height:,} of {selection.rows:,} models used" + (f" ({left_out})" if left_out else "")
    by = {
        "max": "max (costs by their largest value on the front, accuracy by its ideal, others by their range on the front)",
        "range": "range (each objective by its range on the front)",
        "archive-range": "archive-range (each objective by its range over all models)",
        "none": "none (raw units)",
    }[rule.scale]
    if rule.preset:
        by = "preset paper (1 s, 1e7 parameters, 10 mJ, accuracy as a fraction; the paper states no weights)"
    return (
        (f"{printable(origin.path)}: " if origin.path else "") + f"{used}\n"
        f"Best trade-off: lowest weighted distance to the ideal point; scale {by}."
        + "".join(f"\n{remark}." for remark in selection.remarks)
    )


def _shown_choices(selection: Selection) -> list[tuple[Group, Choice]]:
    """Leave out a joint selection that repeats the only pair."""
    return [
        (group, choice)
        for group in selection.groups
        for choice in group.choices
        if choice.kind == "pair" or len(group.choices) != 2 or len(choice.objectives) != 2
    ]


def _shown(choice: Choice) -> list[int]:
    picks = choice.picks
    return list(dict.fromkeys([*picks["trade_off"], *choice.nearest, *(row for rows in picks.values() for row in rows)]))


# More ties than this in one role are counted, not shown, in a table.
_MOST_TIES = 8


def _lines(selection: Selection, choice: Choice) -> tuple[tuple[str, ...], list[_Line]]:
    columns = [o.column for o in choice.objectives]
    best = [set(choice.picks[f"best:{column}"]) for column in columns]
    head = ("", "row", *((" / ".join(selection.labels),) if selection.labels else ()), *columns, "distance", "wins")
    picks = choice.picks
    few = [*picks["trade_off"][:_MOST_TIES], *choice.nearest[: max(choice.top, _MOST_TIES)]]
    few += [row for rows in picks.values() for row in rows[:_MOST_TIES]]
    lines = []
    for row in dict.fromkeys(few):
        at = choice.at(row)
        picked = row in picks["trade_off"]
        cells = [number(v) + (" *" if row in best[k] else "  ") for k, v in enumerate(choice.values[at])]
        labels = [printable(selection.label(row) or "")] if selection.labels else []
        lines.append(_Line((
            ">" if picked else "", str(row), *labels, *cells, f"{choice.distance[at]:.4g}", share(choice.acceptability.shares[at])
        ), picked))  # fmt: skip
    return head, lines


def _rules(choice: Choice, *, labelled: bool) -> list[tuple[str, ...]]:
    """Return the ideal, scale and weights as rows of the table; the label cell is empty where there is one."""
    rows: list[tuple[str, ...]] = []
    weighted = any(weight != 1 for weight in choice.weights.values())
    for name, values in (("ideal", choice.ideal), ("scale", choice.scale), *((("weight", choice.weights),) if weighted else ())):
        label = ("",) if labelled else ()
        rows.append(("", name, *label, *(number(value) + "  " for value in values.values()), "", ""))
    return rows


def title(group: Group, choice: Choice) -> str:
    key = ", ".join(f"{column} = {cell}" for column, cell in (group.key or {}).items())
    words = {"max": "highest", "min": "lowest"}
    if choice.kind == "pair":
        of = " against ".join(f"{words[o.sense]} {o.column}" for o in choice.objectives)
    else:
        of = "joint: " + ", ".join(f"{words[o.sense]} {o.column}" for o in choice.objectives)
    return printable((f"{key}: " if key else "") + f"{of}; front {len(choice.front):,} of {choice.used:,}")


def _sentences(selection: Selection, choice: Choice) -> list[str]:
    def name(row: int) -> str:
        label = selection.label(row)
        return f"row {row}" if label is None else _shorten(printable(label), 32)

    tied = choice.picks["trade_off"]
    tie = [f"Tie: {len(tied)} models are equally near, rows {_shorten(', '.join(map(str, tied)), 50)}."] if len(tied) > 1 else []
    return [*tie, gain(choice, name), certainty(choice, name)]


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrap(name: str, width: int) -> str:
    """Break a column name after its separators so that a narrow column can carry it."""
    name = printable(name)
    lines = [""]
    for piece in _pieces(name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(_shorten(line, 2 * width) for line in lines[:4])


def _pieces(name: str) -> Sequence[str]:
    pieces, current = [], ""
    for character in name:
        current += character
        if character in "_-/. ":
            pieces.append(current)
            current = ""
    return [*pieces, current]


def printable(text: str) -> str:
    """Replace what would steer a terminal (a name from a stranger's file may hold escape sequences)."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
