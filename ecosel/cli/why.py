"""`ecosel why`: explain why one model is or is not the choice."""

from __future__ import annotations

import json
import shlex
import textwrap
from typing import Any

import click

from ecosel.choosing.explanation import Explanation, absent, explain, find_row
from ecosel.cli.options.request import SelectOptions, shared_options
from ecosel.cli.writing import terminal_width, write
from ecosel.output.characters import printable
from ecosel.output.documents import explanation_document
from ecosel.output.sentences import number, of_parent, share, title
from ecosel.output.text import WIDTH, joint_first
from ecosel.selection import Selection


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.argument("model", metavar="ROW|LABEL")
@shared_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)
def why(archives: tuple[str, ...], model: str, form: str, **shared: Any) -> None:
    """Explain why one model is or is not the choice.

    Takes the options of select, and a row number or a label. If the model is not on the front, why shows which models
    dominate it and by how much. If it is, why shows the weighting that makes it the best trade-off, and its losses and gains
    against its neighbours on the front.
    """
    options = SelectOptions(**shared)
    archive = options.open(archives)
    selection, rows, filtered = options.choose(archive, archives)
    if model in archive.absent:
        raise ValueError(f"{model} was left out: {archive.absent[model]}")
    group, explanations = explain(selection, find_row(selection, model, absent(selection, rows, filtered)))
    if form == "json":
        document = explanation_document(selection, group, explanations)
        write((json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n", None))
        return
    row = explanations[0].row
    values = {column: value for e in explanations for column, value in e.values.items()}
    lines = [f"{_name(selection, row)}: " + ", ".join(f"{c} {_with_unit(selection, c, value)}" for c, value in values.items())]
    lines += [f"It is {lineage}."] if (lineage := of_parent(selection, row)) is not None else []
    by_choice = {id(explanation.choice): explanation for explanation in explanations}
    for explanation in (by_choice[id(choice)] for of, choice in joint_first(selection) if of is group):
        lines += ["", title(group, explanation.choice), *(f"  {line}" for line in _lines(selection, explanation))]
    width = terminal_width() or WIDTH
    write(("".join(_folded(line, width) + "\n" for line in lines), None))


def _folded(line: str, width: int) -> str:
    """Break a line at spaces, but not inside a number."""
    indent = " " * (len(line) - len(line.lstrip()))
    broken = textwrap.fill(
        printable(line), width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )
    return broken.replace("\u00a0", " ")


def _lines(selection: Selection, e: Explanation) -> list[str]:
    rule = "; ".join(
        f"{column}: ideal {number(e.choice.ideal[column])}, scale {number(e.choice.scale[column])}"
        + (f", weight {number(weight)}" if weight != 1 else "")
        for column, weight in e.choice.weights.items()
    )
    nearest = "" if e.is_pick else f" (best trade-off: {float(e.choice.distance.min()):.4g})"
    return [*_verdict(selection, e), f"Distance to the ideal point {e.distance:.4g}{nearest}; {rule}."]


def _verdict(selection: Selection, e: Explanation) -> list[str]:
    if e.breaks:
        lines = [f"It violates {' and '.join(e.breaks)}, so it cannot be chosen."]
        others = [f"Of the models within the limits, {len(e.dominated_by):,} dominate it, including", *_compared(selection, e)]
        return [*lines, *(others if e.dominated_by else ["No model within the limits dominates it."])]
    if not e.on_front:
        count = len(e.dominated_by)
        some = f"{count:,} models dominate it, including" if count > len(e.others) else "It is dominated by"
        return [some, *_compared(selection, e)]
    pick = e.choice.answer
    if e.is_pick and e.choice.role == "within":
        lines = [f"On the front, and the choice: the cheapest {e.choice.restrictions[-1].text}."]
    elif e.choice.role == "within":
        cheapest = f"the cheapest {e.choice.restrictions[-1].text}"
        lines = [f"On the front, but not the choice, which is {_name(selection, pick[0])}, {cheapest}."]
    elif e.is_pick:
        lines = [
            f"On the front, and {'the' if len(pick) == 1 else 'one of the tied'} best trade-off{'' if len(pick) == 1 else 's'}."
        ]
    else:
        lines = [f"On the front, but not the best trade-off, which is {_name(selection, pick[0])}."]
    if e.weighting is not None:
        weighting = " ".join(shlex.join(["--weight", f"{column}={weight:.3g}"]) for column, weight in e.weighting.items())
        about = f" (± {100 * e.choice.wins.error:.0f} %)" if e.choice.wins.error else ""
        under = f"{share(e.wins)}{about} of all weightings" if e.wins else "few weightings"
        lines.append(f"The best trade-off under {under}, for example with {weighting}.")
    else:
        sampled = "" if len(e.choice.objectives) <= 2 else " that was tried"
        lines.append(f"The best trade-off under no weighting{sampled}: another model on the front is always closer to the ideal.")
    return [*lines, *(["Its neighbours on the front", *_compared(selection, e)] if e.others else [])]


def _compared(selection: Selection, e: Explanation) -> list[str]:
    lines = []
    for other in e.others:
        changes = []
        for column, value in other.values.items():
            mine = e.values[column]
            part = f" ({100 * (value - mine) / abs(mine):+.3g}\u00a0%)" if mine else ""
            percent = " (equal)" if value == mine else part
            changes.append(f"{column} {_with_unit(selection, column, value)}{percent}")
        lines.append(f"  {_name(selection, other.row)}: {', '.join(changes)}")
    return lines


def _with_unit(selection: Selection, column: str, value: float) -> str:
    unit = selection.units.get(column)
    return f"{number(value)}\u00a0{unit}" if unit else number(value)


def _name(selection: Selection, row: int) -> str:
    label = selection.label(row)
    return f"row {row}" if label is None else f"{printable(label)} (row {row})"
