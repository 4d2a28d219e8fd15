"""Take the columns in use of a frame of any library, and separate the rows with a result from the unfinished ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

import polars as pl

from ecosel.choosing.cleaning.rows import errors_of
from ecosel.errors import ArchiveError
from ecosel.objectives import CANONICAL, STATUSES, Objective
from ecosel.readers.table import ROW, column_of, stripped

# Columns in which `ecosel profile` states the error of a meter.
SYSTEMATIC = ("energy_gain_error", "energy_offset_error_w", "mean_power_w", "device", "energy_meter")


# The words that tools write into such a column: the one for a result, and all of them. ecosel's own come first.
STATE_COLUMNS = ("status", "state", "trial_status", "trial_state", "run_status", "run_state")
_VOCABULARIES = (
    ("ok", frozenset(STATUSES)),
    ("complete", frozenset(("complete", "pruned", "fail", "running", "waiting"))),  # Optuna
    ("finished", frozenset(("finished", "crashed", "failed", "running", "killed", "preempted", "preempting", "pending", "queued",
                            "scheduled"))),  # Weights & Biases, MLflow
    ("terminated", frozenset(("terminated", "error", "running", "pending", "paused"))),  # Ray Tune
    ("completed", frozenset(("completed", "invalid", "failed", "running", "stopped", "idle", "abandoned", "early_stopped",
                             "staged", "candidate"))),  # KerasTuner, Ax
    ("completed", frozenset(("completed", "error", "terminated", "running", "pending", "staged"))),  # Guild AI
    ("succeeded", frozenset(("succeeded", "failed", "user_canceled", "sys_canceled", "early_stopped", "running", "waiting",
                             "unknown"))),  # NNI
    ("success", frozenset(("success", "crashed", "timeout", "memoryout", "running"))),  # SMAC
)  # fmt: skip
# The words of trackers, schedulers and people; a column that mixes both kinds, and has no other word, states what is finished.
_RESULT = frozenset(("ok", "done", "success", "successful", "succeeded", "complete", "completed", "finished", "passed",
                     "published"))  # fmt: skip
_NO_RESULT = frozenset((
    "abort", "aborted", "canceled", "cancelled", "crash", "crashed", "created", "draft", "error", "errored", "fail", "failed",
    "failure", "in_progress", "incomplete", "inprogress", "interrupted", "invalid", "killed", "lost", "memoryout", "nan",
    "node_fail", "not_started", "oom", "out_of_memory", "paused", "pending", "preempted", "pruned", "queued", "running",
    "scheduled", "skipped", "started", "stopped", "timed_out", "timeout", "unfinished", "waiting",
))  # fmt: skip


def columns_of(frame: Any, /) -> dict[str, str]:
    """Map the names of columns, without blanks around them, to the names in the frame.

    For pandas, this includes the names of the index. A blank that distinguishes two columns stays.
    """
    names = _names_of(frame)
    short = [name.strip() for name in names]
    times = Counter(short)
    return {called if times[called] == 1 and called else name: name for called, name in zip(short, names, strict=True)}


def _names_of(frame: Any) -> tuple[str, ...]:
    if isinstance(frame, pl.LazyFrame):
        return tuple(frame.collect_schema().names())
    if _is_pandas(frame):
        names = [*frame.columns, *(name for name in frame.index.names if name is not None and name not in frame.columns)]
        return tuple(name for name in names if isinstance(name, str))
    if isinstance(frame, pl.DataFrame):
        return tuple(frame.columns)
    if hasattr(frame, "column_names"):  # pyarrow
        return tuple(frame.column_names)
    if hasattr(frame, "__arrow_c_stream__"):
        return tuple(pl.DataFrame(frame).columns)
    if hasattr(frame, "__dataframe__"):
        return tuple(frame.__dataframe__().column_names())
    raise ValueError(f"{type(frame).__name__} is not a frame; give polars, pandas or Arrow")


def lineage_columns(names: Sequence[str], /) -> tuple[str, ...]:
    """Return the columns that `ecosel compress` writes to state which variant of which model a row is."""
    return ("variant", "parent") if {"variant", "parent", "precision_executed"} <= set(names) else ()


def columns_in_use(names: Sequence[str], objectives: Sequence[Objective], others: Sequence[str], /) -> list[str]:
    """Return the columns that a selection reads; the frame's other columns may have any type."""
    measured = [objective.column for objective in objectives or CANONICAL]
    lineage = [*lineage_columns(names), "precision_executed"]
    used = {ROW, *measured, *errors_of(names, measured), *state_columns(names), *SYSTEMATIC, *lineage, *others}
    return [name for name in dict.fromkeys(names) if name in used]


def numbered(frame: pl.DataFrame, /) -> pl.DataFrame:
    """Number the rows, unless they have numbers already."""
    return frame if ROW in frame.columns else frame.with_row_index(ROW)


def as_frame(frame: Any, columns: Mapping[str, str], /) -> pl.DataFrame:
    """Return columns of a frame, by their names in it, as a polars frame; text cells are stripped."""
    read = _read(frame, list(dict.fromkeys(columns.values()))).rename({name: called for called, name in columns.items()})
    return read if ROW in columns else stripped(read)  # an archive's frame is stripped


def _read(frame: Any, columns: Sequence[str]) -> pl.DataFrame:
    if isinstance(frame, (pl.DataFrame, pl.LazyFrame)):
        return frame.lazy().select(columns).collect()
    if _is_pandas(frame):
        return pl.DataFrame([_pandas_column(frame, name) for name in columns])
    if hasattr(frame, "column_names"):
        return pl.DataFrame(frame.select(list(columns)))
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame).select(columns)
    return pl.DataFrame(pl.from_dataframe(frame)).select(columns)


def _is_pandas(frame: Any) -> bool:
    return type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "index") and hasattr(frame, "columns")


def _pandas_column(frame: Any, name: str) -> pl.Series:
    """Return a column, or a level of the index, whose cells may have any types."""
    cells = frame[name] if name in frame.columns else frame.index.get_level_values(name)
    if getattr(cells, "ndim", 1) != 1:
        raise ValueError(f"column {name!r} appears more than once in the frame; rename one of them")
    if cells.dtype.kind in "iufb" and type(cells.dtype).__module__.startswith("numpy"):
        return pl.Series(name, cells.to_numpy())
    return column_of(name, [_plain(cell) for cell in cells.tolist()])


def _plain(cell: Any) -> Any:
    if type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, float) and cell != cell:  # the only missing value that pandas has in a column of text
        return None
    return cell.item() if hasattr(cell, "item") and not isinstance(cell, (str, bytes)) else cell


def state_columns(columns: Sequence[str], /) -> list[str]:
    """Return the columns in which a tool may state which rows are finished."""
    return [column for column in columns if column.strip().lower().replace(" ", "_") in STATE_COLUMNS]


def finished_only(frame: pl.DataFrame, /) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate the rows with a result from the others; of the others, return ROW and state.

    A column with any other word is ignored.
    """
    for column in state_columns(frame.columns):
        if frame[column].dtype not in (pl.String, pl.Categorical, pl.Enum):
            continue
        states = frame[column].cast(pl.String).str.strip_chars()
        words = states.str.to_lowercase().str.replace(r"^trial_?(status|state)\.", "").str.replace_all(r"[ -]", "_")
        known = set(words.unique().drop_nulls())
        done = _words_for_a_result(known)
        if done and not known <= done:
            # ecosel itself always writes a status; another tool's may be missing if tables were concatenated
            finished = words.is_in(sorted(done)).fill_null(not known <= set(STATUSES))
            unfinished = frame.filter(~finished).select(ROW).with_columns(states.filter(~finished).alias("state"))
            return frame.filter(finished), unfinished.with_columns(column=pl.lit(column))
    return frame, pl.DataFrame(schema={ROW: frame.schema[ROW], "state": pl.String, "column": pl.String})


def _words_for_a_result(known: Set[str]) -> Set[str]:
    """Return the words of finished rows if a column holds nothing but states; otherwise none."""
    done = next((done for done, every in _VOCABULARIES if known and known <= every), None)
    if done is not None:
        return {done}
    return _RESULT if known & _RESULT and known <= _RESULT | _NO_RESULT else frozenset()


def check_unfinished(finished: pl.DataFrame, unfinished: pl.DataFrame, remarks: list[str], /) -> None:
    """Append a remark on rows that another tool calls unfinished. Raises ArchiveError if no other row is left."""
    if unfinished.height and not finished.height:
        raise ArchiveError(f"no row is left to choose from: none is finished: {_in_words(unfinished)}")
    if not set(unfinished["state"].drop_nulls()) <= set(STATUSES):  # another tool's words
        remarks.append(f"left out as unfinished: {_in_words(unfinished)}")


def _in_words(unfinished: pl.DataFrame) -> str:
    """Count the unfinished rows by state: `3 PRUNED, 1 FAIL by state`."""
    counts = unfinished["state"].fill_null("empty").value_counts(sort=True).rows()
    return f"{', '.join(f'{count:,} {state}' for state, count in counts)} by {unfinished['column'][0]}"
