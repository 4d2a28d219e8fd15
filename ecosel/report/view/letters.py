"""Give each highlighted model a letter that means the same model everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecosel.choosing.choice import Choice, Group, models_of, shown_choices
from ecosel.objectives import ACCURACY
from ecosel.output.measures import measures
from ecosel.readers.table import ROW
from ecosel.selection import Selection

# At most this many of the models that tie get a letter.
_MOST_TIES, _MOST_BEST = 8, 3
_SENSE = {"max": "highest", "min": "lowest"}
TRADE_OFF = "best trade-off:"


@dataclass(frozen=True)
class Lettered:
    """A highlighted model: its letter, and its roles."""

    row: int
    letter: str
    group: int
    """Position of its group in the selection."""
    roles: tuple[str, ...]
    """In words: `best trade-off: parameters, joint`, `highest accuracy`."""


def lettered(selection: Selection, /) -> tuple[Lettered, ...]:
    """Return the best by each objective and the best trade-offs of all selections; letters follow groups, then rows.

    If labels are unique within every group, a label has the same letter in all groups.
    """
    models: list[Lettered] = []
    labels = _labels(selection)
    letters: dict[object, str] = {}
    names = {column: part.name for column, part in measures(selection).items()}
    for position, group in enumerate(selection.groups):
        choices = choices_of(selection, group)
        found: dict[int, dict[str, list[str]]] = {row: {} for choice in choices for row in _highlighted(choice)}
        for choice in choices:
            for row, role, of in _roles(choice, names):
                if row in found:
                    found[row].setdefault(role, []).append(of)
        for row in sorted(found):
            roles = sorted(found[row].items(), key=lambda role: role[0] != TRADE_OFF)
            words = tuple(f"{role} {', '.join(dict.fromkeys(of))}" for role, of in roles)
            models.append(Lettered(row, letters.setdefault(labels.get(row, row), letter(len(letters))), position, words))
    return tuple(models)


def _labels(selection: Selection) -> dict[int, tuple[object, ...]]:
    """Return the labels by row number; empty if some are missing, or repeated in a group."""
    if not selection.labels or len(selection.groups) < 2:
        return {}
    for group in selection.groups:
        own = models_of(selection, group).select(selection.labels)
        if own.n_unique() < own.height or own.null_count().sum_horizontal()[0]:
            return {}
    return {row: tuple(cells) for row, *cells in selection.models.select(ROW, *selection.labels).iter_rows()}


def choices_of(selection: Selection, group: Group, /) -> list[Choice]:
    """Return the choices of a group that add information."""
    return [choice for of, choice in shown_choices(selection) if of is group]


def letter(position: int, /) -> str:
    """Return A, B, ..., Z, AA, AB, ...

    >>> letter(0), letter(25), letter(26), letter(702)
    ('A', 'Z', 'AA', 'AAA')
    """
    text = ""
    position += 1
    while position:
        position, digit = divmod(position - 1, 26)
        text = chr(65 + digit) + text
    return text


def name_of(choice: Choice, names: Mapping[str, str], /) -> str:
    """Return the short title of a choice: the cost of a pair, or a word for all objectives."""
    if choice.kind == "joint":
        return "all objectives together"
    if choice.objectives[0] == ACCURACY:
        return names[choice.objectives[1].column]
    return " against ".join(names[objective.column] for objective in choice.objectives)


def _highlighted(choice: Choice) -> list[int]:
    best = [row for objective in choice.objectives for row in choice.picks[f"best:{objective.column}"][:_MOST_BEST]]
    return [*choice.picks["trade_off"][:_MOST_TIES], *best]


def _roles(choice: Choice, names: Mapping[str, str]) -> list[tuple[int, str, str]]:
    found = [(row, TRADE_OFF, name_of(choice, names)) for row in choice.picks["trade_off"]]
    for objective in choice.objectives:
        name = names[objective.column]
        found += [(row, _SENSE[objective.sense], name) for row in choice.picks[f"best:{objective.column}"]]
    return found
