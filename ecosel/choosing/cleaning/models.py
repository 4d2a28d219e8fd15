"""Clean the finished rows of a frame: one unit per column, repeats averaged, rows without an objective left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from ecosel.choosing.cleaning.frames import lineage_columns
from ecosel.choosing.cleaning.repeats import REPEATS, averaged, repeats_in_words
from ecosel.choosing.cleaning.rows import (
    canonical_objectives,
    group_key,
    in_one_unit,
    percent_ideal,
    remark_on_errors,
    renamed_errors,
    used_rows,
    usual_end,
)
from ecosel.choosing.cleaning.summaries import refuse_summaries
from ecosel.choosing.question import Question
from ecosel.objectives import ACCURACY, Objective
from ecosel.readers.table import ROW


@dataclass(frozen=True, eq=False)
class Models:
    """The rows to choose from."""

    rows: pl.DataFrame
    errors: tuple[str, ...]
    """The columns that hold the errors of objectives."""
    left_out: pl.DataFrame
    """The rows without a value for an objective."""
    units: dict[str, str]
    """The unit of the cells of a column, if its name does not state it."""

    def shown(self, question: Question, /) -> pl.DataFrame:
        """Return the columns that a selection keeps."""
        own = [REPEATS] if question.mean_over else lineage_columns(self.rows.columns)
        asked = [*question.labels, *question.by, *(objective.column for objective in question.objectives)]
        return self.rows.select(list(dict.fromkeys([ROW, *asked, *self.errors, *question.limited, *own])))


def clean(finished: pl.DataFrame, question: Question, remarks: list[str], /) -> tuple[Models, Question]:
    """Return the models, and the question with the objectives found, and with limits and ideals in their units."""
    chosen = question.objectives or canonical_objectives(finished, remarks)
    limited = question.limited
    measured = list(dict.fromkeys([*(objective.column for objective in chosen), *limited]))
    renamed = {} if question.mean_over else renamed_errors(finished.columns, measured)
    remarks += [f"{name} is taken as the error of {of.removesuffix('_std')}" for name, of in renamed.items()]
    finished, units = in_one_unit(finished.rename(renamed), measured, remarks)
    keyed = finished.with_columns(group_key(finished[column]) for column in question.by)
    rows, errors, left_out = used_rows(keyed, chosen, limited)
    if question.mean_over:
        refuse_summaries(rows, question.mean_over)
        keys = [*question.labels, *question.by]
        rows, errors = averaged(rows, question.mean_over, chosen=chosen, limited=limited, errors=errors, keys=keys)
        remarks.append(repeats_in_words(rows, question.mean_over))
    remark_on_errors(rows, errors, remarks)
    bare = [limit for limit in question.requirements.limits if not limit.unit and limit.column in units]
    remarks += [f"the limit {limit.text} is in {units[limit.column]}" for limit in bare]
    found = replace(question, objectives=chosen, requirements=question.requirements.in_units(units))
    return Models(rows, errors, left_out, units), _with_ideals(found, rows, remarks)


def _with_ideals(question: Question, rows: pl.DataFrame, remarks: list[str]) -> Question:
    """Suggest ideals that were not given, and set that of an accuracy in percent."""
    chosen, rule = question.objectives, question.rule
    open_ends: Sequence[Objective] = [objective for objective in chosen if objective.column not in rule.ideal]
    remarks += [said for objective in open_ends if (said := usual_end(objective, rows))]
    if ACCURACY in open_ends:
        rule = replace(rule, ideal={**percent_ideal(rows, remarks), **rule.ideal})
    rule.check(chosen)
    return replace(question, rule=rule)
