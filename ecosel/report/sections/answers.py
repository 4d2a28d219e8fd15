"""Describe the choice of each group (its numbers, losses, gains and certainty) and the picks of the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecosel.choosing.choice import Choice
from ecosel.output.sentences import bounds, certainty, gain, reference_of, share
from ecosel.report.view.letters import choices_of
from ecosel.report.view.view import GroupView
from ecosel.selection import Selection

_MOST_SHARES = 8


@dataclass(frozen=True)
class Number:
    """A value with its unit, its difference from the best of the first quality, its name, and its column."""

    text: str
    difference: str
    name: str
    column: str


@dataclass(frozen=True)
class Pick:
    """The best trade-off of some objectives."""

    title: str
    """The objectives, in words."""
    rows: Sequence[int]
    letter: str
    name: str
    numbers: tuple[Number, ...]
    trade: str


@dataclass(frozen=True)
class Share:
    """How often a model is the best trade-off: over all weightings and, if errors are known, over resampled measurements."""

    row: int
    letter: str
    name: str
    part: float
    wins: str
    on_front: str
    chosen: str


@dataclass(frozen=True)
class Answer:
    """The answer that the page gives for a group before any slider is moved."""

    name: str
    pick: Pick
    certainty: str
    wins: str
    """The answer in a few words."""
    pairs: tuple[Pick, ...]
    shares: tuple[Share, ...]
    is_resampled: bool


def answers(selection: Selection, views: Sequence[GroupView], /) -> list[Answer]:
    """Return the answer of each view; the selection applies the limits, while the views show all models."""
    found = {str(group.key): choices_of(selection, group) for group in selection.groups}
    return [_answer(view, found.get(str(view.group.key), [])) for view in views]


def answer_choice(choices: Sequence[Choice], /) -> Choice:
    """Return the choice that is the answer: the one over all objectives, else the first pair."""
    return next((choice for choice in choices if choice.kind == "joint"), choices[0])


def _answer(view: GroupView, choices: Sequence[Choice]) -> Answer:
    if not choices:
        parts = [view.measures[o.column] for o in answer_choice(view.choices).objectives]
        numbers = tuple(Number("–", "", part.name, part.objective.column) for part in parts)
        return Answer(view.name, Pick("", (), "", "none: no model meets the limits", numbers, ""), "", "", (), (), False)
    choice = answer_choice(choices)
    pairs = tuple(pick_of(view, one) for one in choices if one.kind == "pair" and one is not choice)
    shares = () if len(choice.objectives) < 2 else _shares(view, choice)
    sure = " ".join([certainty(choice, view.known), *bounds(choice, view.measures, view.known)])
    return Answer(view.name, pick_of(view, choice), sure, _wins(view, choice), pairs, shares, choice.resampling is not None)


def _wins(view: GroupView, choice: Choice) -> str:
    shares, picks = choice.win_shares(), choice.answer
    words = share(shares.get(picks[0], 0.0), sampled=choice.wins.error > 0)
    rival = next((row for row in shares if row not in picks), None)
    return words if rival is None else f"{words}; {view.known(rival)} {share(shares[rival], sampled=choice.wins.error > 0)}"


def pick_of(view: GroupView, choice: Choice, /) -> Pick:
    rows = choice.answer
    reference = choice.objectives[reference_of(choice.objectives)].column
    values = choice.values[choice.at(rows[0])].tolist()
    best = choice.values[choice.at(choice.picks[f"best:{reference}"][0])].tolist()
    numbers = []
    for o, value, of in zip(choice.objectives, values, best, strict=True):
        part = view.measures[o.column]
        numbers.append(Number(part.text(value), part.difference(value, of), part.name, o.column))
    title = " and ".join(view.measures[o.column].name for o in choice.objectives)
    name = view.known(rows[0])
    return Pick(title, rows, view.letter_of.get(rows[0], ""), name, tuple(numbers), gain(choice, view.measures, view.known))


def _shares(view: GroupView, choice: Choice) -> tuple[Share, ...]:
    """Return the models that win most often, the largest share first."""
    wins, member = choice.win_shares(), choice.resampling
    pick = choice.answer[0]
    weight = {row: wins.get(row, 0.0) for row in [*wins, pick]}
    for row, (_, chosen) in (member.rows if member else {}).items():
        if chosen >= 0.01:
            weight.setdefault(row, wins.get(row, 0.0))
    found = sorted(weight, key=lambda row: -weight[row])[:_MOST_SHARES]
    sampled = choice.wins.error > 0
    shares = []
    for row in [*found, *([pick] if pick not in found else [])]:
        again = [share(part, sampled=True) for part in member.of(row)] if member else ["", ""]
        letter = view.letter_of.get(row, "")
        shares.append(Share(row, letter, view.known(row), weight[row], share(weight[row], sampled=sampled), *again))
    return tuple(shares)
