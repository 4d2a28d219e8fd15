"""Turn a selection into tables for people: 80 columns of text, or Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from ecosel.choosing.choice import Choice, Chosen, shown_choices
from ecosel.output.sentences import certainty, gain, number, printable, share, summary, title

WIDTH = 80


@dataclass(frozen=True)
class _Column:
    """A column of a table: its head, a cell for each model, and a cell for each line of the rule under them."""

    head: str
    cells: list[str]
    rule: list[str]
    is_text: bool = False

    @property
    def width(self) -> int:
        return max(map(len, [*_wrap(self.head, _HEAD).split("\n"), *self.cells, *self.rule]), default=0)


@dataclass(frozen=True)
class _Table:
    """The models of one choice: columns that name a model, its objectives, and what was made of them."""

    names: list[_Column]
    objectives: list[_Column]
    verdict: list[_Column]
    picked: list[bool]

    def blocks(self, width: int) -> list[list[_Column]]:
        """Return the columns in blocks that fit into width, each with the columns that name a model."""
        blocks = [list(self.names)]
        for column in [*self.objectives, *self.verdict]:
            if sum(c.width + 1 for c in [*blocks[-1], column]) > width and len(blocks[-1]) > len(self.names):
                blocks.append(list(self.names))
            blocks[-1].append(column)
        return blocks


# Characters to a line of a column's head, and of a label beside up to two objectives or more.
_HEAD, _LABEL, _SHORT_LABEL = 12, 34, 18


def as_text(selection: Chosen, *, color: bool = False, width: int = WIDTH) -> str:
    """Return the selection as tables for people, readable in 80 columns; numbers are never cut."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, force_terminal=color, color_system="standard" if color else None, width=width, legacy_windows=False,
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    console.print(summary(selection))
    for group, choice in shown_choices(selection):
        console.print()
        console.print(Text(title(group, choice), style="bold" if color else ""))
        table = _table(selection, choice)
        for block in table.blocks(width - 1):
            has_rule = any(column in table.objectives for column in block)
            grid = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=has_rule)
            for column in block:
                grid.add_column(
                    Text(_wrap(column.head, _HEAD), style="bold" if color else ""),
                    Text("\n".join(column.rule), style="dim" if color else ""),
                    justify="left" if column.is_text else "right", no_wrap=True, min_width=column.width,
                )  # fmt: skip
            for k, picked in enumerate(table.picked):
                grid.add_row(*(Text(column.cells[k]) for column in block), style="bold green" if color and picked else "")
            console.print(Padding(grid, (0, 0, 0, 1)))
        for sentence in _sentences(selection, choice):
            console.print(Padding(Text(sentence), (0, 0, 0, 1)))
    console.print()
    console.print(LEGEND)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


LEGEND = "> best trade-off   * best of its column   wins: share of all weightings under which the model is the best trade-off"


def as_markdown(selection: Chosen) -> str:
    """Return the tables as GitHub Markdown."""
    parts = [_escaped(summary(selection)).replace("\n", "  \n")]
    for group, choice in shown_choices(selection):
        table = _table(selection, choice)
        columns = [*table.names, *table.objectives, *table.verdict]
        rows = [[_escaped(column.head) for column in columns], ["---"] * len(columns)]
        for k, picked in enumerate(table.picked):
            cells = [_escaped(column.cells[k].strip()) for column in columns]
            rows.append([f"**{cell}**" if picked and cell else cell for cell in cells])
        rows += [[_escaped(column.rule[k].strip()) for column in columns] for k in range(len(columns[0].rule))]
        parts.append(f"**{_escaped(title(group, choice))}**")
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
        parts.append("  \n".join(_escaped(sentence) for sentence in _sentences(selection, choice)))
    parts.append(_escaped(LEGEND))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    text = "\n".join(map(printable, text.split("\n")))
    for character in "\\|*_`<>[]#":
        text = text.replace(character, "\\" + character)
    return text


# More models than this that tie as the best trade-off, or as the best of a column, are not shown in a table.
_MOST_TIES, _MOST_BEST = 8, 3


def _table(selection: Chosen, choice: Choice) -> _Table:
    picks = choice.picks
    few = [*picks["trade_off"][:_MOST_TIES], *choice.nearest[: max(choice.top, _MOST_TIES)]]
    rows = list(dict.fromkeys([*few, *(row for tied in picks.values() for row in tied[:_MOST_BEST])]))
    at = [choice.at(row) for row in rows]
    picked = [row in picks["trade_off"] for row in rows]
    weighted = any(weight != 1 for weight in choice.weights.values())
    rule = ["ideal", "scale", *(["weight"] if weighted else [])]
    nothing = [""] * len(rule)
    names = [
        _Column("", [">" if tied else " " for tied in picked], nothing, is_text=True),
        _Column("row", [str(row) for row in rows], rule),
    ]
    if selection.labels:
        longest = _LABEL if len(choice.objectives) <= 2 else _SHORT_LABEL
        labels = [_shorten(printable(selection.label(row) or ""), longest) for row in rows]
        names.append(_Column(" / ".join(selection.labels), labels, nothing, is_text=True))
    objectives = []
    for k, objective in enumerate(choice.objectives):
        best = set(picks[f"best:{objective.column}"])
        cells = [number(choice.values[i, k]) + (" *" if row in best else "  ") for row, i in zip(rows, at, strict=True)]
        stated = [choice.ideal, choice.scale, choice.weights][: len(rule)]
        objectives.append(_Column(objective.column, cells, [number(part[objective.column]) + "  " for part in stated]))
    wins = [share(float(choice.wins.shares[i]), sampled=choice.wins.error > 0) for i in at]
    verdict = [_Column("distance", [f"{choice.distance[i]:.4g}" for i in at], nothing), _Column("wins", wins, nothing)]
    if choice.resampling is not None:
        for k, head in enumerate(("on front", "resampled pick")):
            verdict.append(_Column(head, [share(choice.resampling.of(row)[k], sampled=True) for row in rows], nothing))
    return _Table(names, objectives, verdict, picked)


def _sentences(selection: Chosen, choice: Choice) -> list[str]:
    mentioned = [
        *(rows[0] for rows in choice.picks.values()),
        *choice.win_shares(),
        *(choice.resampling.rows if choice.resampling else ()),
    ]
    labels = [selection.label(row) for row in dict.fromkeys(mentioned[:50])]

    def name(row: int) -> str:
        label = selection.label(row)
        if label is None:
            return f"row {row}"
        return _shorten(printable(label), 36) + (f" (row {row})" if labels.count(label) > 1 else "")

    tied = choice.picks["trade_off"]
    shown = ", ".join(map(str, tied[:_MOST_TIES])) + (", ..." if len(tied) > _MOST_TIES else "")
    tie = [f"Tie: {len(tied):,} models are equally near, rows {shown}."] if len(tied) > 1 else []
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
