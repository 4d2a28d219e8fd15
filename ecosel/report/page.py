"""Put a selection on one self-contained HTML page, which sends nothing anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ecosel.output.characters import shortened
from ecosel.output.measures import Measure
from ecosel.report.charts.themes import legend
from ecosel.report.sections.answers import answers
from ecosel.report.sections.contents import contents
from ecosel.report.sections.html import Chart, text, whole
from ecosel.report.sections.provenance import provenance
from ecosel.report.sections.run import run_charts
from ecosel.report.sections.table import table_lines
from ecosel.report.sections.topology import stacks
from ecosel.report.sections.trace import trace_charts
from ecosel.report.sections.variants import redundancies, variant_charts, variant_lines
from ecosel.report.vega import vega_bundle
from ecosel.report.view.unrestricted import unrestricted
from ecosel.report.view.view import GroupView, group_views
from ecosel.selection import Selection

# Groups that a page holds at most.
MOST_GROUPS = 40
_HERE = Path(__file__).parent


def as_page(
    selection: Selection, rows: pl.DataFrame, /, *, command: str, select: Sequence[str] = ("ecosel", "select"),
    digest: str | None = None, folder: Path | None = None, written: float | None = None,
) -> str:  # fmt: skip
    """Return the page of a selection; rows (with ROW) are those of its archive, command is the one that makes the page again.

    select holds the words of the select command without weights and limits, which the script adds; digest is the archive's
    SHA-256, folder the one to which names of power traces are relative. A page with a time in written (seconds of the epoch)
    reloads itself repeatedly, to show newer ones that replace it.

    Raises ValueError if there are more groups than a page can hold.
    """
    base, start = unrestricted(selection, rows)
    if len(base.groups) > MOST_GROUPS:
        raise ValueError(f"{len(base.groups)} groups are too many for one page (at most {MOST_GROUPS}); choose some with --where")
    views = group_views(base, rows)
    run, traces = run_charts(base, rows, views), trace_charts(rows, views, folder=folder)
    arrows = variant_charts(rows, views)
    drawings = [figure.drawing for figure in (*run, *traces, *arrows) if figure.drawing is not None]
    data = contents(base, rows, views, drawings, start=start, command=select)
    said = answers(selection, views)
    reference = next((o for o in selection.objectives if o.is_quality), selection.objectives[0])
    parts = views[0].measures
    by = " / ".join(views[0].group.key or {})
    lines = table_lines(base, views)
    has_errors = any(cell.interval for line in lines for cell in line.cells)
    return _document(
        data,
        title=_title(selection), counted=_counted(selection, views), left_out=_left_out(selection), live=written,
        answers=said, by=by, best_word=parts[reference.column].best_word, lines=lines, run=_grouped(run), traces=traces,
        heads=[_head(parts[o.column]) for o in selection.objectives],
        is_single=selection.models.height == 1, has_errors=has_errors,
        legend=legend(has_errors=has_errors, objectives=len(selection.objectives)),
        sampled=[_sampled(view) for view in views], stacks=stacks(rows, views),
        arrows=arrows, variants=variant_lines(rows), redundancies=redundancies(rows),
        provenance=provenance(selection, rows, digest=digest), command=command,
    )  # fmt: skip


def _head(part: Measure) -> dict[str, str]:
    return {"column": part.objective.column, "title": f"{part.title} {'↑' if part.objective.is_quality else '↓'}"}


def _grouped(figures: Sequence[Chart]) -> Sequence[Chart]:
    return sorted(figures, key=lambda figure: -1 if figure.group is None else figure.group)


def _title(selection: Selection) -> str:
    name = Path(selection.origin.path).name if selection.origin.path else "models"
    return shortened(name, 80)


def _counted(selection: Selection, views: Sequence[GroupView]) -> str:
    used, rows = selection.models.height, selection.rows
    counted = f"{used:,} of {rows:,} models" if used < rows else "1 model" if rows == 1 else f"{rows:,} models"
    if len(views) > 1:
        return f"{counted} in {len(views)} groups"
    front = len((views[0].joint or views[0].choices[0]).front)
    return f"{counted}, {front:,} on the Pareto front" if rows > 1 else counted


def _left_out(selection: Selection) -> list[str]:
    """State why rows are not among the models."""
    reasons = []
    if selection.left_out.height:
        counts = selection.left_out["missing"].value_counts(sort=True).head(2)
        lacking = "; ".join(f"{count:,} without {missing}" for missing, count in counts.iter_rows())
        reasons.append(f"not measured: {lacking}")
    if selection.origin.unfinished:
        reasons.append(f"not finished: {selection.origin.unfinished:,}")
    if selection.origin.filtered:
        reasons.append(f"filtered: {selection.origin.filtered:,}")
    return reasons


def _sampled(view: GroupView) -> str:
    if not view.is_sampled:
        return ""
    fronts = {row for choice in view.choices for row in choice.front}
    shipped = {int(row) for rows in view.fronts for row in rows}
    kept = "all" if fronts <= shipped else f"{len(shipped & fronts):,} of"
    thinned = "" if fronts <= shipped else " Under some weights the best trade-off here may be a neighbour of the true one."
    return (
        f"{view.total:,} models are too many to draw as points: the shading counts all of them (darker means more); {kept} "
        f"{len(fronts):,} models on the fronts are drawn as points, and the table can show "
        f"{view.models.height - len(shipped):,} others.{thinned}"
    )


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters |= {"text": text, "whole": whole}
    return environment.from_string((_HERE / "page.html").read_text(encoding="utf-8"))


@cache
def _script() -> str:
    files = sorted((_HERE / "script").glob("*.js"))
    return '"use strict";\n(() => {\n' + "".join(file.read_text(encoding="utf-8") for file in files) + "})();\n"


@cache
def _style() -> str:
    return "".join(file.read_text(encoding="utf-8") for file in sorted((_HERE / "style").glob("*.css")))


def _as_script_data(data: dict[str, Any]) -> Markup:
    # inside a script element the only dangers are "</script" and "<!--"; without any "<" there is neither
    raw = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        raw = raw.replace(character, f"\\u{ord(character):04x}")
    return Markup(raw)


def _hash(text_: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text_.encode()).digest()).decode()}'"


def _document(data: dict[str, Any], **words: Any) -> str:
    scripts, style = [vega_bundle(), _script()], _style()
    allowed = f"script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    page: str = _template().render(
        policy=policy, style=Markup(style), scripts=[Markup(script) for script in scripts], data=_as_script_data(data), **words
    )
    return page
