"""Choose among the models of a frame: front, best by each objective, best trade-off."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from ecosel.choosing.choice import Chosen, Group, Origin, lineage_columns
from ecosel.choosing.cleaning.frames import as_frame, columns_of
from ecosel.choosing.cleaning.repeats import REPEATS, averaged, repeats_in_words
from ecosel.choosing.cleaning.rows import (
    canonical_objectives,
    errors_of,
    finished_only,
    group_key,
    grouped,
    in_one_unit,
    percent_ideal,
    remark_on_errors,
    renamed_errors,
    state_columns,
    states_in_words,
    used_rows,
    usual_end,
)
from ecosel.choosing.fronts import Pick, choices
from ecosel.choosing.requirements import Requirements, refuse_all
from ecosel.choosing.scoring import Rule, Scale
from ecosel.choosing.systematic import COLUMNS as SYSTEMATIC
from ecosel.choosing.systematic import systematic_remarks
from ecosel.errors import ArchiveError
from ecosel.limits import Limit, Within, parse_limit, parse_within
from ecosel.objectives import ACCURACY, CANONICAL, STATUSES, Objective, Sense
from ecosel.readers.table import ROW


class Selection(Chosen):
    """What was chosen, with the forms in which it is shown."""

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
    frame: Any,
    /,
    objectives: Mapping[str, Sense] | Sequence[Objective] | None = None,
    *,
    labels: Sequence[str] = (),
    by: Sequence[str] = (),
    weights: Mapping[str, float] | None = None,
    ideal: Mapping[str, float] | None = None,
    scale: Scale = "max",
    preset: Literal["paper"] | None = None,
    limits: Sequence[str | Limit] = (),
    within: str | Within | None = None,
    mean_over: Sequence[str] = (),
    pick: Pick = "distance",
    top: int = 1,
    joint: bool = True,
    pairs: bool = True,
    seed: int = 0,
    origin: Origin | None = None,
) -> Selection:
    """Find the fronts of a frame and choose its best trade-offs (Young et al. 2019, section IV).

    frame: a polars or pandas frame, or anything with the Arrow or dataframe protocol; only the columns in use are read. A
    row number is the position in the frame as it is given, from 0: of a filtered frame the position in what is left, of
    pandas not its index, whose names can be labels. objectives: column to "max" or "min"; without them the canonical
    columns that hold a value. Cells are cleaned as in files: text that reads as a number is one, NaN and infinity are
    missing, rows that miss an objective are left out and counted.
    Columns `<objective>_low` and `_high` (95 % interval) or `_std` (standard deviation) are taken as measurement errors.
    limits: "ms <= 20", of any column: who keeps all of them may be chosen; ideal and scale stay those of all models.
    within: "1%" or "0.5" (points): choose the cheapest model that is so near to the best quality.
    pick: "knee" chooses where the front bends most (Das 1999), beside the best trade-off.
    mean_over: columns that tell repeats apart (seed, fold): one model for each configuration, the mean of its rows.

    Raises ValueError for an argument that does not fit, ArchiveError for cells that cannot be used.

    >>> models = pl.DataFrame({"accuracy": [0.80, 0.82, 0.70], "parameters": [1_070_311, 25_506_331, 2_000_000]})
    >>> choice = select(models).choices[0]
    >>> choice.front, choice.picks["trade_off"]
    ((0, 1), (0,))
    """
    remarks: list[str] = []
    names = columns_of(frame)
    chosen = _objectives(objectives)
    _check_columns(names, chosen, labels, [*by, *mean_over], seed=seed, top=top, joint=joint, pairs=pairs)
    requirements = _requirements(names, chosen, limits, within)
    if pick not in ("distance", "knee") or (pick == "knee" and within is not None):
        raise ValueError(f"pick is {pick!r}; it must be 'distance' or 'knee', and without within")
    lineage = lineage_columns(names)
    others = [*labels, *by, *(limit.column for limit in requirements.limits)]
    others += [*lineage, *(column for column in SYSTEMATIC if column in names)]
    frame = as_frame(frame, names if mean_over else _in_use(names, chosen, others))
    if ROW not in frame.columns:
        frame = frame.with_row_index(ROW)
    origin = origin or Origin()
    total = frame.height + origin.filtered + origin.unfinished
    finished, unfinished = finished_only(frame)
    if unfinished.height:
        if not finished.height:
            raise ArchiveError(f"no row is left to choose from: none is finished: {states_in_words(unfinished)}")
        if not set(unfinished["state"].drop_nulls()) <= set(STATUSES):  # another tool's words
            remarks.append(f"left out as unfinished: {states_in_words(unfinished)}")
    statuses = dict(unfinished["state"].fill_null("no status").value_counts().sort("state").iter_rows())
    origin = replace(origin, unfinished=origin.unfinished + unfinished.height, statuses=statuses)
    chosen = chosen or canonical_objectives(finished, remarks)
    limited = [limit.column for limit in requirements.limits]
    measured = list(dict.fromkeys([*(objective.column for objective in chosen), *limited]))
    renamed = {} if mean_over else renamed_errors(finished.columns, measured)
    remarks += [f"{name} is taken as the error of {of.removesuffix('_std')}" for name, of in renamed.items()]
    finished, units = in_one_unit(finished.rename(renamed), measured, remarks)
    models, errors, left_out = used_rows(finished.with_columns(group_key(finished[column]) for column in by), chosen, limited)
    if mean_over:
        models, errors = averaged(models, mean_over, chosen=chosen, limited=limited, errors=errors, keys=[*labels, *by])
        remarks.append(repeats_in_words(models, mean_over))
    remark_on_errors(models, errors, remarks)
    requirements = requirements.in_units(units)
    ideal = ideal or {}
    given = tuple(ideal)
    remarks += [said for o in chosen if o.column not in ideal and (said := usual_end(o, models[o.column]))]
    if ACCURACY in chosen and "accuracy" not in ideal:
        ideal = {**percent_ideal(models, remarks), **ideal}
    rule = Rule(scale, weights or {}, ideal, preset)
    rule.check(chosen)
    groups, refused = [], []
    for key, rows in grouped(models, by):
        kept = requirements.kept(rows)
        if kept and not np.logical_and.reduce(kept).any():
            refused.append(refuse_all(rows, requirements.limits, kept, key))
            continue
        found = choices(
            chosen, rule, rows, errors, requirements=requirements, pick=pick, joint=joint, pairs=pairs, top=top, seed=seed
        )  # fmt: skip
        groups.append(Group(key, tuple(found)))
    if not groups:
        raise ArchiveError(refused[0])
    remarks += systematic_remarks(models, groups)
    if pick == "knee":
        remarks += without_knee(groups)
    columns = list(dict.fromkeys([ROW, *labels, *by, *(objective.column for objective in chosen), *errors, *limited]))
    columns += [REPEATS] if mean_over else [column for column in lineage if column not in columns]
    return Selection(
        origin, total, models.select(columns), left_out, chosen, rule, tuple(labels), tuple(groups), seed,
        (*remarks, *refused), requirements, given, unfinished, units,
    )  # fmt: skip


def without_knee(groups: Sequence[Group]) -> list[str]:
    """Say of the fronts that bend nowhere towards the ideal that their best trade-off is the answer."""
    flat = [choice for group in groups for choice in group.choices if choice.role != "knee"]
    names = dict.fromkeys(", ".join(o.column for o in choice.objectives) for choice in flat)
    return [f"the front of {name} has no knee; its best trade-off is the choice" for name in names]


def _objectives(given: Mapping[str, Sense] | Sequence[Objective] | None) -> tuple[Objective, ...]:
    if given is None:
        return ()
    named = [Objective(column, sense) for column, sense in given.items()] if isinstance(given, Mapping) else given
    chosen = tuple(named)
    if isinstance(given, str) or not all(isinstance(objective, Objective) for objective in chosen):
        raise ValueError(f"objectives {given!r}: say of each column which end is better, as in {{'acc': 'max', 'ms': 'min'}}")
    if not chosen:
        raise ValueError("no objective is named")
    return chosen


def _in_use(names: Sequence[str], chosen: Sequence[Objective], others: Sequence[str]) -> list[str]:
    """Return the columns that a selection reads; what else a frame holds may be of any type."""
    measured = [objective.column for objective in chosen or CANONICAL]
    used = {ROW, *measured, *errors_of(names, measured), *state_columns(names), *others}
    return [name for name in dict.fromkeys(names) if name in used]


def _requirements(
    names: Sequence[str], chosen: Sequence[Objective], limits: Sequence[str | Limit], within: str | Within | None
) -> Requirements:
    senses = {objective.column: objective.sense for objective in chosen or CANONICAL}

    def column(name: str) -> str:
        if name not in names:
            raise ValueError(f"no column {name!r}; the columns are {', '.join(map(repr, names))}")
        return name

    read = [limit if isinstance(limit, Limit) else parse_limit(limit, column=column, sense=senses.get) for limit in limits]
    ends = [(column(limit.column), limit.is_floor) for limit in read]
    for limit, end in zip(read, ends, strict=True):
        if ends.count(end) > 1:
            both = " and ".join(other.text for other, its in zip(read, ends, strict=True) if its == end)
            raise ValueError(f"a limit of {limit.column} is given twice: {both}")
    return Requirements(tuple(read), parse_within(within) if isinstance(within, str) else within)


def _check_columns(
    names: Sequence[str],
    chosen: Sequence[Objective],
    labels: Sequence[str],
    by: Sequence[str],
    *,
    seed: int,
    top: int,
    joint: bool,
    pairs: bool,
) -> None:
    columns = [objective.column for objective in chosen]
    for column in [*columns, *labels, *by]:
        if column not in names:
            raise ValueError(f"no column {column!r}; the columns are {', '.join(map(repr, names))}")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise ValueError(f"objective {twice[0]!r} is named twice")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be at least 0")
    if top < 1:
        raise ValueError(f"top is {top}; it must be at least 1")
    if not (joint or pairs):
        raise ValueError("neither the joint selection nor the pairs are wanted; nothing is left to choose")
