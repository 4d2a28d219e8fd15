"""Turn a selection into tables for people: 80 columns of text, or Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from ecosel.selection import Choice, Group, Selection
from ecosel.verdict import certainty, gain, number, share

WIDTH = 80


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
        file=out, force_terminal=color, color_system="standard" if color else None, width=width, legacy_windows=False,
        highlight=False, markup=False, emoji=False,
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
                max_width=None if not text else 34 if len(choice.objectives) <= 2 else max(12, width - 62),
                footer_style="dim" if color else "",
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
    for name, values in (
        ("ideal", choice.ideal),
        ("scale", choice.scale),
        *((("weight", choice.weights),) if weighted else ()),
    ):
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
