"""Put a selection on one page of HTML that needs nothing beside it and sends nothing anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from ecosel.choosing.choice import Choice
from ecosel.output.names import shortened
from ecosel.output.sentences import gain
from ecosel.readers import table
from ecosel.readers.table import ROW
from ecosel.report.charts.themes import PAGE
from ecosel.report.sections.frontier import frontier_section, robustness_section
from ecosel.report.sections.html import Section, attribute, columns_of, text
from ecosel.report.sections.provenance import provenance_section
from ecosel.report.sections.run import run_section
from ecosel.report.sections.table import table_section
from ecosel.report.sections.topology import topology_section
from ecosel.report.sections.trace import trace_section
from ecosel.report.vega import vega_bundle
from ecosel.report.view import mark_data
from ecosel.report.view.letters import name_of
from ecosel.report.view.view import HEAT_CELLS, GroupView, group_views
from ecosel.selection import Selection

# Groups, columns and characters of a cell that a page holds at most.
MOST_GROUPS = 40
_MOST_COLUMNS, _LONGEST_CELL = 40, 120


def as_page(
    selection: Selection, rows: pl.DataFrame, /, *, command: str, digest: str | None = None, folder: Path | None = None
) -> str:
    """Return the page of a selection; rows (with ROW) are those of its archive, command the one that makes the page again.

    digest is the archive's SHA-256, folder the one that its power traces are named from.

    Raises ValueError where there are more groups than a page can hold.
    """
    if len(selection.groups) > MOST_GROUPS:
        raise ValueError(
            f"{len(selection.groups)} groups are too many for one page (at most {MOST_GROUPS}); choose some with --where"
        )
    views = group_views(selection, rows)
    wanted = [
        frontier_section(selection, views),
        table_section(selection, views),
        robustness_section(views),
        topology_section(rows, views),
        run_section(selection, rows, views),
        trace_section(rows, views, folder=folder),
        provenance_section(selection, rows, command=command, digest=digest),
    ]
    sections = [section for section in wanted if section is not None]
    contents = _contents(selection, rows, views, sections)
    return _document(_title(selection), _head(selection, views), sections, contents)


def _title(selection: Selection) -> str:
    name = Path(selection.origin.path).name if selection.origin.path else "models"
    return shortened(name, 80)


def _head(selection: Selection, views: Sequence[GroupView]) -> str:
    words = {"max": "high", "min": "low"}
    wanted = ", ".join(f"{words[o.sense]} {o.column}" for o in selection.objectives)
    used, rows = selection.models.height, selection.rows
    counted = f"{used:,} of {rows:,} models" if used < rows else "1 model" if rows == 1 else f"{rows:,} models"
    verdicts = "".join(_verdict(view, g) for g, view in enumerate(views))
    return f"<h1>Best trade-offs of {text(_title(selection))}</h1><p>{counted}, chosen for {text(wanted)}.</p>{verdicts}"


def _verdict(view: GroupView, group: int) -> str:
    """Say of each model that is the best trade-off of something what it gains."""
    told: dict[int, list[Choice]] = {}
    for choice in view.choices:
        told.setdefault(choice.picks["trade_off"][0], []).append(choice)
    lines = []
    for pick, choices in told.items():
        widest = max(choices, key=lambda choice: len(choice.objectives))
        sentence = gain(widest, view.measures, view.called)
        roles = ", ".join(map(name_of, choices))
        letter, called = view.letter_of[pick], view.names[pick]
        name = "" if called == letter else f"{text(called, 60)}, "
        lines.append(
            f'<li><span class="tag">{letter}</span><span>{name}best trade-off: {text(roles)}. {text(sentence, 400)}</span></li>'
        )
    head = f"<h3>{text(view.name)}</h3>" if view.name else ""
    return f'<div data-group="{group}">{head}<ul class="verdict">{"".join(lines)}</ul></div>'


def _contents(
    selection: Selection, rows: pl.DataFrame, views: Sequence[GroupView], sections: Sequence[Section]
) -> dict[str, Any]:
    """Return what the script draws: the models that are shipped, with their cells, and the charts."""
    specs: dict[str, int] = {}
    drawings: dict[int | None, list[dict[str, Any]]] = {}
    for drawing in (drawing for section in sections for drawing in section.drawings):
        spec = {key: part for key, part in drawing.spec.items() if key not in ("$schema", "config")}
        number = specs.setdefault(json.dumps(spec), len(specs))
        made = {"id": drawing.id, "spec": number, "group": drawing.group, **drawing.facts}
        drawings.setdefault(drawing.group, []).append(made)
    columns = [column for column in rows.columns if column != ROW]
    shown = columns[:_MOST_COLUMNS]
    return {
        "config": PAGE, "specs": [json.loads(spec) for spec in specs], "heatCells": HEAT_CELLS,
        "weights": [selection.rule.weights.get(o.column, 1.0) for o in selection.objectives],
        "columns": [shortened(column, 60) for column in shown], "columnsLeftOut": len(columns) - len(shown),
        "groups": [
            {"models": columns_of(mark_data.model_rows(view)), "cells": _cells(rows, view, shown), "views": drawings.get(g, [])}
            for g, view in enumerate(views)
        ],
        "views": drawings.get(None, []),
    }  # fmt: skip


def _cells(rows: pl.DataFrame, view: GroupView, columns: Sequence[str]) -> list[list[Any]]:
    own = view.models.select(ROW).join(rows.select(ROW, *columns), on=ROW, how="left", maintain_order="left")
    return [[_cell(cell) for cell in own[column].to_list()] for column in columns]


def _cell(cell: Any) -> Any:
    if cell is None or (isinstance(cell, bool | int) and abs(cell) < 2**53):
        return cell
    if isinstance(cell, float):
        return cell if abs(cell) < float("inf") else None
    return shortened(table.as_text(cell), _LONGEST_CELL)


@cache
def _part(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _as_script_data(contents: dict[str, Any]) -> str:
    # inside a script element the only dangers are "</script" and "<!--"; with no "<" at all there is neither
    raw = json.dumps(contents, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        raw = raw.replace(character, f"\\u{ord(character):04x}")
    return raw


def _hash(text_: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text_.encode()).digest()).decode()}'"


def _document(title: str, head: str, sections: Sequence[Section], contents: dict[str, Any]) -> str:
    scripts = [vega_bundle(), _part("table.js"), _part("page.js")]
    style = _part("page.css")
    allowed = f"script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    body = "".join(section.html for section in sections)
    code = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{attribute(title)}: best trade-offs</title>"
        f"<style>{style}</style></head><body><header>{head}</header>"
        "<noscript><p><b>The charts need JavaScript; the tables do not.</b></p></noscript>"
        f'<main>{body}</main><div id="tip" role="tooltip" hidden></div>'
        f'<script type="application/json" id="contents">{_as_script_data(contents)}</script>{code}</body></html>\n'
    )
