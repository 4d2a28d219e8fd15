"""The table of the page: the lettered models with all metrics, readable without a script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ecosel.choosing.cleaning import measured_error
from ecosel.choosing.robustness import Z95
from ecosel.output.sentences import number
from ecosel.readers.table import ROW
from ecosel.report.sections.html import Section, attribute, text
from ecosel.report.view.view import GroupView
from ecosel.selection import Selection

_LONGEST_CELL = 20_000
# A table of more objectives than this is printed in small type, to fit on the paper.
_MANY = 6


def table_section(selection: Selection, views: Sequence[GroupView], /) -> Section:
    """Return the table; ratios are to the model of the same group that is best in the first quality."""
    reference = next((o for o in selection.objectives if o.is_quality), selection.objectives[0])
    has_group = len(views) > 1 or bool(views[0].name)
    heads = [
        ("letter", False),
        *([("model", False)] if selection.labels else []),
        ("row", True),
        *([(" / ".join(views[0].group.key or {}), False)] if has_group else []),
        ("best at", False),
    ]
    heads += [(f"{o.column} {'↑' if o.is_quality else '↓'}", True) for o in selection.objectives]
    head = "".join(
        f'<th scope="col"{" class=number" if numeric else ""}><button type="button">{_breakable(name)}</button></th>'
        for name, numeric in heads
    )
    lines = [line for view in views for line in _lines(view, reference.column, has_group=has_group)]
    many = ' class="many"' if len(selection.objectives) > _MANY else ""
    words = "most accurate model" if reference.column == "accuracy" else f"model that is best in {reference.column}"
    return Section(
        "<h2>The lettered models</h2>"
        f'<p class="small muted">Under each number its ratio to the {text(words)} of the same group; shaded: best of all '
        "models of the group; "
        "± 95 % interval, where one was measured. Click a heading to sort.</p>"
        '<p><button type="button" data-table="models">copy as CSV</button></p><div class="scroll"><table '
        f'id="models"{many}><thead><tr>{head}</tr></thead>'
        f'<tbody>{"".join(lines)}</tbody></table></div><div id="marked" aria-live="polite"></div><div class="said" id="said" '
        'role="status"></div>'
    )


def _lines(view: GroupView, reference: str, *, has_group: bool) -> list[str]:
    numbers = view.models[ROW]
    at = [numbers.index_of(model.row) for model in view.letters]
    models = view.models[[k for k in at if k is not None]]
    values = {o.column: models[o.column].cast(pl.Float64).to_numpy() for o in view.objectives}
    errors = {o.column: measured_error(models, o, models.columns) for o in view.objectives}
    ends = {o.column: values[o.column].max() if o.is_quality else values[o.column].min() for o in view.objectives}
    best = next(o for o in view.objectives if o.column == reference)
    base = int(np.argmax(values[reference]) if best.is_quality else np.argmin(values[reference]))
    lines = []
    for k, model in enumerate(view.letters):
        cells = [f'<th scope="row"><button type="button" class="tag" data-mark="{model.row}" aria-pressed="false" '
                 f'title="ring {model.letter} in the charts">{model.letter}</button></th>']  # fmt: skip
        if view.labels:
            cells.append(f'<td class="name" data-value="{_whole(view, model.row)}">{text(view.names[model.row])}</td>')
        cells.append(f'<td class="number">{model.row}</td>')
        cells += [f'<td class="name">{text(view.name)}</td>'] if has_group else []
        cells.append(f"<td>{'<br>'.join(_breakable(role) for role in model.roles)}</td>")
        for o in view.objectives:
            value, of = values[o.column][k], values[o.column][base]
            is_best = " best" if value == ends[o.column] else ""
            ratio = f"× {value / of:.3g}" if of > 0 and value >= 0 else ""
            error = _interval(*(Z95 * float(side[k]) for side in errors[o.column]))
            exact = models[o.column][k]
            cells.append(
                f'<td class="number{is_best}" data-value="{exact}">{number(value)}{error}<span class="ratio">{ratio}</span></td>'
            )
        lines.append(f'<tr data-row="{model.row}" data-of-group="{model.group}">{"".join(cells)}</tr>')
    return lines


def _interval(below: float, above: float) -> str:
    """Write the distances from a value to the ends of its interval, as one where they are the same."""
    if not max(below, above) > 0:
        return ""
    low, high = f"{below:.2g}", f"{above:.2g}"
    return f" ± {low}" if low == high else f" −{low} +{high}"


def _breakable(name: str) -> str:
    return text(name, 200).replace("_", "_<wbr>")


def _whole(view: GroupView, row: int) -> str:
    cells = view.models.filter(pl.col(ROW) == row).select(view.labels).row(0)
    return attribute(" / ".join("" if cell is None else str(cell) for cell in cells)[:_LONGEST_CELL])
