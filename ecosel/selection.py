"""Choose among the models of a frame: front, best by each objective, best trade-off.

The arguments of `select`:

- frame: a polars or pandas frame, or any object with the Arrow or dataframe protocol; only the columns in use are read. A row
  number is the position in the frame as it is given, from 0: in a filtered frame, the position among the rows left; in pandas,
  not the index, whose names can be labels.
- objectives: column to "max" or "min"; by default the canonical columns that have values. Cells are cleaned as in files:
  text that can be read as a number is one, NaN and infinity are missing, rows without an objective are left out and counted.
  Columns `<objective>_low` and `_high` (95 % interval) or `_std` (standard deviation) are taken as measurement errors.
- limits: "ms <= 20", of any column: only models that meet all of them are chosen; ideal and scale come from all models.
- within: "1%" or "0.5" (points): choose the cheapest model within this distance of the best quality.
- pick: "knee" chooses where the front bends most (Das 1999), beside the best trade-off.
- mean_over: columns that distinguish repeats (seed, fold): one model for each configuration, the mean of its rows.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from ecosel.choosing.choice import Chosen, Group, Origin
from ecosel.choosing.cleaning.frames import (
    SYSTEMATIC,
    as_frame,
    check_unfinished,
    columns_in_use,
    columns_of,
    finished_only,
    numbered,
)
from ecosel.choosing.cleaning.models import Models, clean
from ecosel.choosing.cleaning.rows import grouped
from ecosel.choosing.cleaning.summaries import without_summaries
from ecosel.choosing.fronts import choices
from ecosel.choosing.question import Pick, Question, objectives_of, refuse_all, requirements_of
from ecosel.choosing.robustness import MOST_REACHING
from ecosel.choosing.scoring import Rule, Scale
from ecosel.errors import ArchiveError
from ecosel.limits import Limit, Within
from ecosel.objectives import ENERGY, Objective, Sense
from ecosel.readers.cells.numbers import read_numbers
from ecosel.readers.table import ROW

_ENERGY = ENERGY.column


class Selection(Chosen):
    """The result of a selection, with the forms in which it can be shown."""

    def frame(self) -> pl.DataFrame:
        """Return the picks as a frame: one row for each group, selection, role and model."""
        from ecosel.output.documents import picks_frame

        return picks_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what `ecosel select --format json` prints."""
        from ecosel.output.documents import as_document

        return as_document(self)

    def __str__(self) -> str:
        from ecosel.output.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def select(
    frame: Any, /, objectives: Mapping[str, Sense] | Sequence[Objective] | None = None, *, labels: Sequence[str] = (),
    by: Sequence[str] = (), weights: Mapping[str, float] | None = None, ideal: Mapping[str, float] | None = None,
    scale: Scale = "max", preset: Literal["paper"] | None = None, limits: Sequence[str | Limit] = (),
    within: str | Within | None = None, mean_over: Sequence[str] = (), pick: Pick = "distance", top: int = 1,
    joint: bool = True, pairs: bool = True, seed: int = 0, origin: Origin | None = None,
) -> Selection:  # fmt: skip
    """Find the fronts of a frame and choose its best trade-offs (Young et al. 2019, section IV).

    `help(ecosel.selection)` explains each argument. Raises ValueError for an argument that does not fit, ArchiveError for
    cells that cannot be used.

    >>> models = pl.DataFrame({"accuracy": [0.80, 0.82, 0.70], "parameters": [1_070_311, 25_506_331, 2_000_000]})
    >>> choice = select(models).choices[0]
    >>> choice.front, choice.picks["trade_off"]
    ((0, 1), (0,))
    """
    own, remarks = columns_of(frame), list[str]()
    names = tuple(own)
    chosen, rule = objectives_of(objectives), Rule(scale, weights or {}, ideal or {}, preset)
    question = Question(
        objectives=chosen, labels=tuple(labels), by=tuple(by), mean_over=tuple(mean_over), rule=rule,
        requirements=requirements_of(names, chosen, limits, within), pick=pick, top=top, joint=joint, pairs=pairs, seed=seed,
    )  # fmt: skip
    question.check(names)
    others = [*labels, *by, *question.limited]
    read = names if mean_over else columns_in_use(names, chosen, others)
    rows = numbered(as_frame(frame, {name: own[name] for name in read}))
    finished, unfinished = finished_only(rows)
    check_unfinished(finished, unfinished, remarks)
    finished, summaries = without_summaries(finished, chosen, labels, remarks)
    unfinished = pl.concat([unfinished, summaries])
    models, question = clean(finished, question, remarks)
    groups, refused = choices_of_groups(models, question, remarks)
    origin = origin or Origin()
    return Selection(
        origin.with_unfinished(unfinished), rows.height + origin.filtered + origin.unfinished, models.shown(question),
        models.left_out, question.objectives, question.rule, question.labels, groups, seed, (*remarks, *refused),
        question.requirements, tuple(ideal or ()), unfinished, models.units,
    )  # fmt: skip


def choices_of_groups(models: Models, question: Question, remarks: list[str], /) -> tuple[tuple[Group, ...], list[str]]:
    """Choose in each group; return the groups, and reasons for those without a choice. ArchiveError if no group has one."""
    groups, refused = [], []
    for key, rows in grouped(models.rows, question.by):
        kept = question.requirements.kept(rows)
        if kept and not np.logical_and.reduce(kept).any():
            refused.append(refuse_all(rows, question.requirements.limits, kept, key))
            continue
        groups.append(Group(key, tuple(choices(question, rows, models.errors))))
    if not groups:
        raise ArchiveError(refused[0])
    remarks += systematic_remarks(models.rows, groups)
    if models.errors:
        remarks += without_resampling(groups)
    if question.pick == "knee":
        remarks += without_knee(groups)
    return tuple(groups), refused


def without_resampling(groups: Sequence[Group]) -> list[str]:
    """State for which objectives the measurement errors were too much to resample."""
    left = [choice for group in groups for choice in group.choices if choice.resampling is None]
    names = dict.fromkeys(", ".join(o.column for o in choice.objectives) for choice in left)
    return [
        f"the measurement errors of {name} are not resampled, as more than {MOST_REACHING:,} models may be on the front"
        for name in names
    ]


def without_knee(groups: Sequence[Group]) -> list[str]:
    """State, for each front without a bend towards the ideal, that its best trade-off is the choice."""
    flat = [choice for group in groups for choice in group.choices if choice.role != "knee"]
    names = dict.fromkeys(", ".join(o.column for o in choice.objectives) for choice in flat)
    return [f"the front of {name} has no knee; its best trade-off is the choice" for name in names]


def systematic_remarks(models: pl.DataFrame, groups: Iterable[Group], /) -> list[str]:
    """Return a remark for each pick whose energy differs from the answer's by less than the systematic error of the meters.

    On one board, gain errors cancel, and offset errors as far as inference times agree; between boards both count in full.
    """
    if not {_ENERGY, *SYSTEMATIC[:3]} <= set(models.columns):
        return []
    numbers = models.select(ROW, *(read_numbers(models[column])[0].cast(pl.Float64) for column in (_ENERGY, *SYSTEMATIC[:3])))
    boards = models.select(pl.lit(None).alias("nothing"), *(name for name in SYSTEMATIC[3:] if name in models.columns)).rows()
    rows = {row[ROW]: {**row, "board": board} for row, board in zip(numbers.to_dicts(), boards, strict=True)}
    remarks = []
    for group in groups:
        choice = group.choices[-1]
        if _ENERGY not in [objective.column for objective in choice.objectives]:
            continue
        one = choice.answer[0]
        others = dict.fromkeys(row for picked in choice.picks.values() for row in picked[:1] if row != one)
        remarks += [said for other in others if (said := _compared(rows[one], rows[other]))]
    return list(dict.fromkeys(remarks))


def _compared(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    pair = (one, other)
    if any(row[column] is None for row in pair for column in (_ENERGY, *SYSTEMATIC[:3])):
        return None
    times = [row[_ENERGY] / row["mean_power_w"] for row in pair if row["mean_power_w"] > 0]
    if len(times) < 2:
        return None
    alike = any(one["board"]) and one["board"] == other["board"]
    same = alike and all(one[column] == other[column] for column in SYSTEMATIC[:2])
    gains = 0.0 if same else sum(row["energy_gain_error"] * row[_ENERGY] for row in pair)
    offset_w = max(row["energy_offset_error_w"] for row in pair)
    offsets = offset_w * (abs(times[0] - times[1]) if same else sum(times))
    difference = abs(one[_ENERGY] - other[_ENERGY])
    if not difference < gains + offsets:
        return None
    larger = max(one[_ENERGY], other[_ENERGY])
    where = "on one board, where the gain cancels but not the offset" if same else "on two boards or unnamed ones"
    where = "on one board, calibrated for one of them" if alike and not same else where
    return (
        f"the energies of rows {one[ROW]} and {other[ROW]} differ by {difference / larger:.1%}, less than the systematic error "
        f"of their meters ({(gains + offsets) / larger:.1%}, {where}); models on one board at similar power share this error"
    )
