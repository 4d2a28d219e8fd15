"""Separate the rows with a result from those that their tool marks as unfinished."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import STATUSES
from ecosel.readers.table import ROW

# What tools write into a column called so: the one word for a result, and those for none. ecosel's own come first.
STATE_COLUMNS = ("status", "state", "trial_status", "trial_state", "run_status", "run_state")
_VOCABULARIES = (
    ("ok", frozenset(STATUSES)),
    ("complete", frozenset(("complete", "pruned", "fail", "running", "waiting"))),  # Optuna
    ("finished", frozenset(("finished", "crashed", "failed", "running", "killed", "preempted", "preempting", "pending", "queued",
                            "scheduled"))),  # Weights & Biases, MLflow
    ("terminated", frozenset(("terminated", "error", "running", "pending", "paused"))),  # Ray Tune
    ("completed", frozenset(("completed", "invalid", "failed", "running", "stopped", "idle", "abandoned", "early_stopped",
                             "staged", "candidate"))),  # KerasTuner, Ax
    ("succeeded", frozenset(("succeeded", "failed", "user_canceled", "sys_canceled", "early_stopped", "running", "waiting",
                             "unknown"))),  # NNI
    ("success", frozenset(("success", "crashed", "timeout", "memoryout", "running"))),  # SMAC
)  # fmt: skip


def state_columns(columns: Sequence[str], /) -> list[str]:
    """Return the columns in which a tool may say which rows are finished."""
    return [column for column in columns if column.strip().lower().replace(" ", "_") in STATE_COLUMNS]


def finished_only(frame: pl.DataFrame, /) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate the rows with a result from the others, and return ROW and state of the others.

    A column whose words are not those of one tool changes nothing.
    """
    for column in state_columns(frame.columns):
        if frame[column].dtype not in (pl.String, pl.Categorical, pl.Enum):
            continue
        states = frame[column].cast(pl.String).str.strip_chars()
        words = states.str.to_lowercase().str.replace(r"^trial_?(status|state)\.", "")
        known = set(words.unique().drop_nulls())
        done = next((done for done, every in _VOCABULARIES if known and known <= every), None)
        if done is not None and known != {done}:
            # ecosel itself always writes a status; another tool's may be missing where tables were put together
            finished = (words == done).fill_null(done != "ok")
            unfinished = frame.filter(~finished).select(ROW).with_columns(states.filter(~finished).alias("state"))
            return frame.filter(finished), unfinished.with_columns(column=pl.lit(column))
    return frame, pl.DataFrame(schema={ROW: frame.schema[ROW], "state": pl.String, "column": pl.String})


def check_unfinished(finished: pl.DataFrame, unfinished: pl.DataFrame, remarks: list[str], /) -> None:
    """Append a remark on rows that another tool calls unfinished. ArchiveError if no other row is left."""
    if unfinished.height and not finished.height:
        raise ArchiveError(f"no row is left to choose from: none is finished: {_in_words(unfinished)}")
    if not set(unfinished["state"].drop_nulls()) <= set(STATUSES):  # another tool's words
        remarks.append(f"left out as unfinished: {_in_words(unfinished)}")


def _in_words(unfinished: pl.DataFrame) -> str:
    """Say how many rows are unfinished by which word: `3 PRUNED, 1 FAIL by state`."""
    counts = unfinished["state"].fill_null("empty").value_counts(sort=True).rows()
    return f"{', '.join(f'{count:,} {state}' for state, count in counts)} by {unfinished['column'][0]}"
