"""Turn a selection into tables for people: 80 columns of text, or Markdown."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ecosel.choosing.choice import Choice, Chosen, Group, shown_choices
from ecosel.choosing.cleaning.repeats import REPEATS
from ecosel.output.characters import printable
from ecosel.output.measures import measures
from ecosel.output.names import names_of
from ecosel.output.sentences import answer, bounds, certainty, gain, hypervolume_of, number, of_parent, share, summary, title
from ecosel.readers.table import ROW

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80


@dataclass(frozen=True)
class _Column:
    """A column of a table: its heading, a cell for each model, and a cell for each line of the rule below."""

    head: str
    cells: list[str]
    rule: list[str]
    is_text: bool = False

    @property
    def width(self) -> int:
        return max(map(len, [*_wrap(self.head, _HEAD).split("\n"), *self.cells, *self.rule]), default=0)


@dataclass(frozen=True)
class _Table:
    """The table of one choice: columns that name a model, its objectives, and its results."""

    names: list[_Column]
    objectives: list[_Column]
    verdict: list[_Column]
    picked: list[bool]

    def blocks(self, width: int) -> list[list[_Column]]:
        """Return the columns in blocks that fit the width, each with the columns that name a model."""
        blocks = [list(self.names)]
        for column in [*self.objectives, *self.verdict]:
            if sum(c.width + 1 for c in [*blocks[-1], column]) > width and len(blocks[-1]) > len(self.names):
                blocks.append(list(self.names))
            blocks[-1].append(column)
        return blocks


# Characters per line of a column's heading, and of a label beside up to two objectives or more.
_HEAD, _LABEL, _SHORT_LABEL = 12, 34, 18


def as_text(selection: Chosen, *, color: bool = False, width: int = WIDTH, hypervolume: bool = False) -> str:
    """Return the choice as text: the answer of each group, then tables; readable in 80 columns, with numbers never cut."""
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, force_terminal=color, color_system="standard" if color else None, width=width, legacy_windows=False,
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    for line in _folded(_answers(selection), width):
        is_name = bool(line) and line[0] != " "
        console.print(Text(line, style="bold" if color and is_name else ""))
    for line in _folded(summary(selection).split("\n"), width):
        console.print(line)
    for group, choice in joint_first(selection):
        console.print()
        for line in _folded([title(group, choice)], width):
            console.print(Text(line, style="bold" if color else ""))
        _print_table(console, _table(selection, choice), color=color, width=width)
        if hypervolume:
            value, meaning = hypervolume_of(choice)
            console.print(Text(f" hypervolume: {'none: ' if value is None else f'{value:.4g}, '}{meaning}"))
        for line in _folded([f" {sentence}" for sentence in _sentences(selection, group, choice)], width):
            console.print(line)
    console.print()
    for line in _folded(_legend(selection).split("\n"), width):
        console.print(line)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def joint_first(selection: Chosen) -> list[tuple[Group, Choice]]:
    """Return the choices to show: those over all objectives, which are the answers, then the pairs."""
    return sorted(shown_choices(selection), key=lambda one: one[1].kind == "pair")


def _print_table(console: Console, table: _Table, *, color: bool, width: int) -> None:
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    for block in table.blocks(width - 1):
        has_rule = any(column in table.objectives for column in block)
        grid = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=has_rule)
        for column in block:
            grid.add_column(
                Text(_wrap(printable(column.head), _HEAD), style="bold" if color else ""),
                Text("\n".join(map(printable, column.rule)), style="dim" if color else ""),
                justify="left" if column.is_text else "right", no_wrap=True, min_width=column.width,
            )  # fmt: skip
        for k, picked in enumerate(table.picked):
            grid.add_row(*(Text(printable(column.cells[k])) for column in block), style="bold green" if color and picked else "")
        console.print(Padding(grid, (0, 0, 0, 1)))


def _folded(lines: Sequence[str], width: int) -> list[str]:
    """Break lines at spaces, but not inside a number; further lines keep the indentation of the first."""
    folded = []
    for line in map(printable, lines):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        broken = textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        folded += [part.replace("\u00a0", " ") for part in broken] or [""]
    return folded


def _answers(selection: Chosen) -> list[str]:
    """Return the choice over all objectives of each group; the first line of each is not indented."""
    parts = measures(selection)
    lines = []
    for group in selection.groups:
        choice = group.choices[-1]
        first, *rest = answer(group, choice, parts, _namer(selection, choice))
        if (lineage := of_parent(selection, choice.answer[0])) is not None:
            rest.insert(0, f"It is {lineage}.")
        lines += [first, *(f"  {sentence}" for sentence in rest), ""]
    return lines


def _legend(selection: Chosen) -> str:
    by_distance = all(choice.role == "trade_off" for choice in selection.choices)
    marks = "> best trade-off" if by_distance else "> the choice   ~ best trade-off"
    return f"{marks}   * best of its column\nwins: share of all weightings under which the model is the best trade-off"


def as_markdown(selection: Chosen) -> str:
    """Return the choice as GitHub Markdown."""
    answers = "\n".join(_answers(selection)).strip().split("\n\n")
    parts = [
        f"**{lines[0]}**  \n" + "  \n".join(map(str.strip, lines[1:])) for lines in (_escaped(a).split("\n") for a in answers)
    ]
    parts.append(_escaped(summary(selection)).replace("\n", "  \n"))
    for group, choice in joint_first(selection):
        table = _table(selection, choice)
        columns = [*table.names, *table.objectives, *table.verdict]
        rows = [[_escaped(column.head) for column in columns], ["---"] * len(columns)]
        for k, picked in enumerate(table.picked):
            cells = [_escaped(column.cells[k].strip()) for column in columns]
            rows.append([f"**{cell}**" if picked and cell else cell for cell in cells])
        rows += [[_escaped(column.rule[k].strip()) for column in columns] for k in range(len(columns[0].rule))]
        parts.append(f"**{_escaped(title(group, choice))}**")
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
        parts += ["  \n".join(_escaped(sentence) for sentence in _sentences(selection, group, choice))]
    parts.append(_escaped(_legend(selection)).replace("\n", "  \n"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _escaped(text: str) -> str:
    text = "\n".join(map(printable, text.split("\n")))
    for character in "\\|*_`<>[]#":
        text = text.replace(character, "\\" + character)
    return text


# At most this many models that tie as the best trade-off, or as the best of a column, are shown in a table.
_MOST_TIES, _MOST_BEST = 8, 3


def _table(selection: Chosen, choice: Choice) -> _Table:
    picks = choice.picks
    few = [*choice.answer[:_MOST_TIES], *picks["trade_off"][:_MOST_TIES], *choice.nearest[: max(choice.top, _MOST_TIES)]]
    rows = list(dict.fromkeys([*few, *(row for tied in picks.values() for row in tied[:_MOST_BEST])]))
    at = [choice.at(row) for row in rows]
    picked = [row in choice.answer for row in rows]
    weighted = any(weight != 1 for weight in choice.weights.values())
    rule = ["ideal", "scale", *(["weight"] if weighted else [])]
    nothing = [""] * len(rule)
    signs = [">" if row in choice.answer else "~" if row in picks["trade_off"] else " " for row in rows]
    names = [_Column("", signs, nothing, is_text=True), _Column("row", [str(row) for row in rows], rule)]
    if selection.labels:
        labels = _label_cells(selection, choice, rows)
        names.append(_Column(" / ".join(selection.labels), labels, nothing, is_text=True))
    if REPEATS in selection.models.columns:
        counts = dict(selection.models.select(ROW, REPEATS).iter_rows())
        names.append(_Column("n", [str(counts[row]) for row in rows], nothing))
    objectives = []
    for k, objective in enumerate(choice.objectives):
        best = choice.values[choice.at(picks[f"best:{objective.column}"][0]), k]
        cells = [number(value) + (" *" if value == best else "  ") for value in choice.values[at, k].tolist()]
        stated = [choice.ideal, choice.scale, choice.weights][: len(rule)]
        unit = selection.units.get(objective.column)
        head = f"{objective.column} ({unit})" if unit else objective.column
        objectives.append(_Column(head, cells, [number(part[objective.column]) + "  " for part in stated]))
    wins = [share(float(choice.wins.shares[i]), sampled=choice.wins.error > 0) for i in at]
    verdict = [_Column("distance", [f"{choice.distance[i]:.4g}" for i in at], nothing), _Column("wins", wins, nothing)]
    if choice.resampling is not None:
        for k, head in enumerate(("on front", "resampled pick")):
            verdict.append(_Column(head, [share(choice.resampling.of(row)[k], sampled=True) for row in rows], nothing))
    return _Table(names, objectives, verdict, picked)


def _label_cells(selection: Chosen, choice: Choice, rows: Sequence[int]) -> list[str]:
    longest = _LABEL if len(choice.objectives) <= 2 else _SHORT_LABEL
    labels = [_shorten(printable(selection.label(row) or ""), longest) for row in rows]
    if selection.beside is None or len(set(labels)) == len(labels):
        return labels
    name = _namer(selection, choice)
    return [_cut_inside(name(row), _LABEL) for row in rows]


def _sentences(selection: Chosen, group: Group, choice: Choice) -> list[str]:
    """Return the lines under a table, without the answer already given at the top."""
    tied = choice.answer
    shown = ", ".join(map(str, tied[:_MOST_TIES])) + (", ..." if len(tied) > _MOST_TIES else "")
    tie = [f"Tie: {len(tied):,} models are equally close, rows {shown}."] if len(tied) > 1 else []
    if choice is group.choices[-1] or (len(group.choices) == 2 and len(choice.objectives) == 2):
        return tie
    name = _namer(selection, choice)
    parts = measures(selection)
    return [*tie, *filter(None, [gain(choice, parts, name), certainty(choice, name), *bounds(choice, parts, name)])]


def _namer(selection: Chosen, choice: Choice) -> Callable[[int], str]:
    """Return a function that names a model by its label, adding the row if another mentioned model has the same label."""
    rows = choice.mentioned()
    own = pl.DataFrame({ROW: rows}, schema={ROW: selection.models.schema[ROW]})
    few = selection.models.filter(pl.col(ROW).is_in(rows))  # faster than a join, which would hash all models
    besides = [objective.column for objective in selection.objectives]
    shown = own.join(few, on=ROW, how="left", maintain_order="left")
    called = names_of(shown, selection.labels, selection.beside, besides=besides)
    names = dict(zip(rows, called, strict=True))

    def name(row: int) -> str:
        label = names.get(row) or selection.label(row) or f"row {row}"
        return _cut_inside(printable(label), 80) + (f" (row {row})" if called.count(label) > 1 else "")

    return name


def _cut_inside(text: str, most: int) -> str:
    # the ends of long names differ more often than their beginnings
    return text if len(text) <= most else f"{text[: most // 3]}…{text[len(text) - most + most // 3 + 1 :]}"


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrap(name: str, width: int) -> str:
    """Break a column name after its separators so that it fits a narrow column."""
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
