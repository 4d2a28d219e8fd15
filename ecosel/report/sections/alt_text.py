"""Say in words what a chart shows, for those who do not see it, and what its marks mean."""

from __future__ import annotations

from collections.abc import Sequence

from ecosel.choosing.choice import Choice
from ecosel.output.sentences import number
from ecosel.report.view import mark_data
from ecosel.report.view.view import GroupView, Panel

_GLYPHS = {
    "model": '<circle cx="9" cy="8" r="2.5" fill="var(--model)"/>',
    "front": '<circle cx="9" cy="8" r="3.5" fill="var(--front)"/>',
    "error": '<path d="M9 1V15M3 8H15" stroke="var(--front)" stroke-width="1" opacity="0.6"/>',
    "lowest": '<rect x="3" y="2" width="12" height="12" fill="none" stroke="var(--low)" stroke-width="2"/>',
    "highest": '<path d="M9 1.5 16 14H2Z" fill="none" stroke="var(--high)" stroke-width="2"/>',
    "pick": '<path d="M9 1 14 8 9 15 4 8Z" fill="var(--pick)"/>',
    "joint": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--pick)" stroke-width="1.6"/>',
}
_WORDS = {
    "model": "model", "front": "on the Pareto front", "error": "its 95 % interval", "lowest": "lowest cost",
    "highest": "highest quality", "pick": "best trade-off under these weights", "joint": "best trade-off of all objectives",
}  # fmt: skip


def legend(views: Sequence[GroupView]) -> str:
    """Return what the marks of the panels mean, as HTML."""
    panels = [panel for view in views for panel in view.panels]
    words = dict(_WORDS)
    if any(panel.x.objective.is_quality or not panel.y.objective.is_quality for panel in panels):
        words |= {"lowest": "best on the horizontal axis", "highest": "best on the vertical axis"}
    if not any(panel.choice is not view.joint for view in views if view.joint for panel in view.panels):
        del words["joint"]
    if not any(mark_data.error_rows(view, panel).height for view in views for panel in view.panels):
        del words["error"]
    items = "".join(
        f'<li><svg viewBox="0 0 18 16" aria-hidden="true">{_GLYPHS[key]}</svg>{said}</li>' for key, said in words.items()
    )
    return (
        f'<ul class="legend">{items}</ul><p class="small muted">A letter is the same model everywhere on this page; an arrow '
        "behind it says that the model lies outside the range. Click a model, or its letter in the table, to ring "
        "it in every panel.</p>"
    )


def sampled(view: GroupView) -> str:
    if not view.is_sampled:
        return ""
    fronts = {row for choice in view.choices for row in choice.front}
    shipped = {int(row) for rows in view.fronts for row in rows}
    whole = "all" if fronts <= shipped else f"{len(shipped & fronts):,} of"
    others = view.models.height - len(shipped)
    thinned = (
        "" if fronts <= shipped else " Under some weights the best trade-off on this page may be a neighbour of the true one."
    )
    return (
        f'<p class="small">{view.total:,} models are too many points. The shading counts all of them (darker: more); drawn '
        f"as points are {whole} {len(fronts):,} models of the fronts and a sample of {others:,} others.{thinned}</p>"
    )


def panel_in_words(view: GroupView, panel: Panel) -> str:
    choice = panel.choice
    x, y = panel.x.objective, panel.y.objective
    columns = [o.column for o in choice.objectives]

    def at(row: int) -> str:
        values = choice.values[choice.at(row)]
        described = ", ".join(f"{column} {number(values[columns.index(column)])}" for column in (y.column, x.column))
        return f"{view.called(row)} ({described})"

    picks = choice.picks
    return (
        f"{y.column} against {x.column}{f', {view.name}' if view.name else ''}: {view.total:,} models, front of "
        f"{len(choice.front):,}. "
        f"Best in {x.column}: {at(picks[f'best:{x.column}'][0])}. Best in {y.column}: {at(picks[f'best:{y.column}'][0])}. "
        f"Best trade-off: {at(picks['trade_off'][0])}. The table below holds the numbers."
    )


def strip_in_words(view: GroupView, choice: Choice) -> str:
    segments = mark_data.segment_rows(view, choice).select("name", "low", "high").head(20)
    parts = [f"{name} from {100 * low:.0f} to {100 * high:.0f} %" for name, low, high in segments.iter_rows()]
    return f"Best trade-off by the share of the weight on {choice.objectives[0].column}: {'; '.join(parts)}."
