"""The frontier section of the page: sliders, legend, a panel and a strip of weights for each pair; and how sure the picks are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from ecosel.choosing.choice import Choice
from ecosel.output.names import shortened
from ecosel.output.sentences import certainty, share
from ecosel.report.charts import panels as charts
from ecosel.report.sections.alt_text import legend, panel_in_words, sampled, strip_in_words
from ecosel.report.sections.html import Drawing, Section, attribute, chart_element, columns_of, text
from ecosel.report.view import mark_data
from ecosel.report.view.letters import objectives_of
from ecosel.report.view.view import GroupView, Panel
from ecosel.selection import Selection

_OFF = ' autocomplete="off"'


def frontier_section(selection: Selection, views: Sequence[GroupView], /) -> Section:
    drawings: list[Drawing] = []
    parts = []
    for g, view in enumerate(views):
        figures = []
        models = mark_data.model_rows(view)
        for k, panel in enumerate(view.panels):
            html, made = _panel(view, panel, models=models, group=g, place=k)
            figures.append(html)
            drawings += made
        if view.joint is not None:
            html, made = _joint(view, view.joint, models=models, group=g)
            figures.append(html)
            drawings += made
        head = f"<h3>{text(view.name)}</h3>" if view.name else ""
        noted = " noted" if any(panel.in_view[True] < view.total for panel in view.panels) else ""
        parts.append(
            f'<section data-group="{g}">{head}{sampled(view)}<div class="panels{noted}">{"".join(figures)}</div></section>'
        )
    # groups of one panel each stand side by side
    groups = "".join(parts)
    if len(views) > 1 and all(len(view.choices) == 1 and len(view.panels) == 1 for view in views):
        groups = f'<div class="panels beside">{groups}</div>'
    # the sliders stay in view as long as the frontier is, and cover nothing below it
    html = f'<section id="frontier"><h2>Frontier</h2>{_controls(selection, views)}{legend(views)}{groups}</section>'
    return Section(html, tuple(drawings))


def _controls(selection: Selection, views: Sequence[GroupView]) -> str:
    weights = selection.rule.weights
    end = charts.slider_end(list(weights.values()))
    sliders = "".join(
        f'<label for="weight-{k}"><span>weight of {text(o.column, 40)} <output '
        f'id="weight-{k}-value">{weights.get(o.column, 1.0):.4g}</output></span>'
        f'<input type="range" id="weight-{k}" data-weight="{k}" min="0" max="{end!r}" step="0.01" autocomplete="off" '
        f'value="{weights.get(o.column, 1.0)!r}"></label>'
        for k, o in enumerate(selection.objectives)
    )
    chooser = ""
    if len(views) > 1:
        options = "".join(f'<option value="{g}">{escape_option(view.name)}</option>' for g, view in enumerate(views))
        chooser = f'<label for="group"><span>show</span><select id="group"{_OFF}><option value="all">all</option>'
        chooser += f"{options}</select></label>"
    axes = ""
    if any(view.panels for view in views):
        axes = (
            f'<label for="zoom"><span>range</span><select id="zoom"{_OFF}><option value="interest">of interest</option>'
            '<option value="all">everything</option></select></label>'
            f'<label for="scale"><span>cost axes</span><select id="scale"{_OFF}><option value="auto">as the data ask</option>'
            '<option value="linear">linear</option><option value="log">logarithmic</option></select></label>'
        )
    return (
        f'<div class="controls" role="group" aria-label="Weights and axes">{sliders}'
        f'<button type="button" id="reset">reset weights</button>{chooser}{axes}</div>'
    )


def escape_option(name: str) -> str:
    return attribute(shortened(name, 60))


def _panel(view: GroupView, panel: Panel, *, models: pl.DataFrame, group: int, place: int) -> tuple[str, list[Drawing]]:
    id_ = f"panel-{group}-{place}"
    choice = panel.choice
    spec = charts.panel(view, panel).to_dict(validate=False)
    variants = {}
    for zoom in (True, False):
        for log in (False, True) if panel.x.may_be_log else (False,):
            variants[f"{'zoom' if zoom else 'whole'}-{'log' if log else 'linear'}"] = {
                "domains": panel.domains(zoom=zoom, log=log), "log": log, "ticks": panel.x.ticks(zoom=zoom, log=log),
                "letters": columns_of(mark_data.letter_rows(view, panel, zoom=zoom, log=log)),
                "roles": columns_of(mark_data.role_rows(view, panel, zoom=zoom, log=log)),
                "heat": _heat(panel, zoom=zoom, log=log),
            }  # fmt: skip
    notes = [
        f"{panel.in_view[zoom]:,} of {view.total:,} models in range" if panel.in_view[zoom] < view.total else ""
        for zoom in (True, False)
    ]
    facts: dict[str, Any] = {
        "choice": view.choices.index(choice), "x": f"v{mark_data.field(view, panel.x.objective.column)}",
        "y": f"v{mark_data.field(view, panel.y.objective.column)}", "log": panel.x.log, "mayBeLog": panel.x.may_be_log,
        "variants": variants, "notes": notes, "front": _positions(models, mark_data.front_of(models, view, choice)),
        "data": {"errors": columns_of(mark_data.error_rows(view, panel))},
        "joint": _tied(view.joint if view.joint is not choice else None),
    }  # fmt: skip
    drawings = [Drawing(id_, spec, facts, group)]
    strip = ""
    if len(choice.objectives) == 2:
        strip_spec = charts.weight_strip(view, choice, data=False).to_dict(validate=False)
        segments = columns_of(mark_data.segment_rows(view, choice))
        drawings.append(Drawing(f"strip-{group}-{place}", strip_spec, {"data": {"segments": segments}}, group))
        strip = chart_element(f"strip-{group}-{place}", strip_in_words(view, choice))
    title = f"{text(panel.y.title.split(' (')[0])} against {text(panel.x.title)}"
    caption = f'<p><b>{title}</b></p><p>{_pick(id_, view, choice)}</p><p class="note" id="{id_}-note">{notes[0]}</p>'
    figure = f"<figure><figcaption>{caption}</figcaption>{chart_element(id_, panel_in_words(view, panel))}{strip}</figure>"
    return figure, drawings


def _joint(view: GroupView, choice: Choice, *, models: pl.DataFrame, group: int) -> tuple[str, list[Drawing]]:
    id_ = f"joint-{group}"
    front = _positions(models, mark_data.front_of(models, view, choice))
    place = view.choices.index(choice)
    hidden = Drawing(
        id_, charts.pick_of(view, choice).to_dict(validate=False), {"choice": place, "front": front, "isJoint": True}, group
    )
    bars, drawn = _bars(view, choice, group=group, place=place)
    caption = f"<p><b>All objectives together</b></p><p>{_pick(id_, view, choice)}</p>"
    unseen = f'<div class="said" id="{id_}" aria-hidden="true"></div>'
    words = f'<p class="small">{text(certainty(choice, view.called), 800)}</p>'
    figure = f'<figure class="wide"><figcaption>{caption}{words}</figcaption>{unseen}{bars}</figure>'
    return figure, [drawn, hidden]


def _bars(view: GroupView, choice: Choice, *, group: int, place: int) -> tuple[str, Drawing]:
    id_ = f"bars-{group}-{place}"
    rows = mark_data.share_rows(view, choice)
    spec = charts.robustness(view, choice, data=False).to_dict(validate=False)
    facts = {"choice": place, "data": {"shares": columns_of(rows)}, "isBars": True, "joint": _tied(choice)}
    words = "; ".join(f"{name}: {share(part, sampled=True)} {measure}" for _, name, measure, part in rows.iter_rows())
    return chart_element(id_, f"How often each model wins. {words}"), Drawing(id_, spec, facts, group)


def robustness_section(views: Sequence[GroupView], /) -> Section | None:
    """Return how certain each pair's choice is, in words, with probabilities where errors were measured.

    None where there is no pair: the joint choice has the same beside the frontier.
    """
    drawings, parts = [], []
    for g, view in enumerate(views):
        figures = []
        for k, choice in enumerate(view.choices):
            if choice.kind == "joint":
                continue
            figure = ""
            if choice.resampling is not None:
                figure, drawing = _bars(view, choice, group=g, place=k)
                drawings.append(drawing)
            caption = f"<p><b>{text(objectives_of(choice))}</b></p><p>{text(certainty(choice, view.called), 800)}</p>"
            figures.append(f"<figure><figcaption>{caption}</figcaption>{figure}</figure>")
        if not figures:
            return None
        group = f"<h3>{text(view.name)}</h3>" if view.name else ""
        parts.append(f'<section data-group="{g}">{group}<div class="panels">{"".join(figures)}</div></section>')
    intro = (
        '<p class="small muted">Of all weightings: the share of the weight simplex, uniform, under which a model is the best '
        "trade-off, whatever "
        "the sliders say. Resampled: measurements drawn anew within their stated errors, all independent; a systematic error "
        "of a meter is in "
        "none of them.</p>"
    )
    return Section(f"<h2>How sure is the choice?</h2>{intro}{''.join(parts)}", tuple(drawings))


def _pick(id_: str, view: GroupView, choice: Choice) -> str:
    """Return the line that the script keeps up to date; at first it says what select prints."""
    rows = choice.picks["trade_off"]
    shown = []
    for row in rows[:8]:
        letter, name = view.letter_of.get(row), view.names.get(row, f"row {row}")
        shown.append(f"<b>{text(letter or name)}</b>" + (f" {text(name)}" if letter and letter != name else ""))
    more = f" and {len(rows) - 8} that tie" if len(rows) > 8 else ""
    words = f"{', '.join(shown)}{more} · distance {float(choice.distance.min()):.4g}"
    return f'Best trade-off: <span id="{id_}-pick" data-rows="{" ".join(map(str, rows))}">{words}</span>'


def _tied(choice: Choice | None) -> list[int]:
    return list(choice.picks["trade_off"]) if choice else []


def _positions(models: pl.DataFrame, front: pl.DataFrame) -> list[int]:
    at = {row: k for k, row in enumerate(models["row"].to_list())}
    return [at[row] for row in front["row"].to_list()]


def _heat(panel: Panel, *, zoom: bool, log: bool) -> dict[str, list[int]] | None:
    heat = panel.heat.get((zoom, log))
    if heat is None:
        return None
    return {"i": heat.cell[:, 0].tolist(), "j": heat.cell[:, 1].tolist(), "n": heat.count.tolist()}
