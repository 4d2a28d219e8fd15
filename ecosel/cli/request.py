"""Turn the options that select, why and report share into a Selection."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click
import polars as pl

from ecosel.choosing.scoring import Scale
from ecosel.objectives import CANONICAL, Objective
from ecosel.readers import ROW, Archive, open_archive
from ecosel.readers.cells import looks_numeric, read_numbers
from ecosel.readers.table import RESERVED
from ecosel.selection import Origin, Selection, select

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Characters of an expression; the time to parse one grows faster than its length.
_LONGEST = 2_000
# Without --label, the first of these that the archive has.
_USUAL_LABELS = ("candidate_id", "model", "model_name", "name", "network", "run_name", "model_id", "trial")

_SHARED = (
    click.option("--maximize", multiple=True, metavar="COL", help="Objective: larger is better. Repeatable."),
    click.option("--minimize", multiple=True, metavar="COL", help="Objective: smaller is better. Repeatable."),
    click.option("--label", "labels", multiple=True, metavar="COL", help="Show this column beside the row number. Repeatable."),
    click.option("--where", metavar="EXPR", help="Use only rows for which this SQL expression is true."),
    click.option("--derive", multiple=True, metavar='"NAME = EXPR"', help="Add a column, computed in SQL. Repeatable."),
    click.option("--by", multiple=True, metavar="COL", help="Choose once for each value of this column. Repeatable."),
    click.option("--weight", "weights", multiple=True, metavar="COL=W", help="Weight of an objective (default 1)."),
    click.option("--ideal", multiple=True, metavar="COL=V", help="Its ideal (default: cost 0, accuracy 1, else the best)."),
    click.option("--scale", type=click.Choice(["max", "range", "archive-range", "none"]), default="max", show_default=True,
                 help="Divide by the largest value on the front, the range on the front, the range over all rows, or nothing."),
    click.option("--preset", type=click.Choice(["paper"]),
                 help="Units of all picks of the paper's Table I: 1 s, 1e7 parameters, 10 mJ."),
    click.option("--joint/--no-joint", default=True, help="Choose over all objectives together (default: yes)."),
    click.option("--pairs/--no-pairs", default=True, help="Choose for each quality against each cost (default: yes)."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the samples."),
    click.option("--table", metavar="NAME", help="Table or view of a database, or key of a JSON object."),
    click.option("--study", metavar="NAME", help="Optuna study, or MLflow experiment."),
)  # fmt: skip


def shared_options(command: _Command) -> _Command:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@dataclass(frozen=True)
class Request:
    """What the user asked for, as the command line gave it."""

    maximize: tuple[str, ...]
    minimize: tuple[str, ...]
    labels: tuple[str, ...]
    where: str | None
    derive: tuple[str, ...]
    by: tuple[str, ...]
    weights: tuple[str, ...]
    ideal: tuple[str, ...]
    scale: Scale
    preset: Literal["paper"] | None
    joint: bool
    pairs: bool
    seed: int
    table: str | None
    study: str | None

    def run(self, paths: Sequence[str], *, top: int = 1, all_columns: bool = False) -> tuple[Selection, pl.DataFrame]:
        """Read the archive and choose; return the selection and the rows it read (with ROW), before any were left out."""
        archive = open_archive(paths, table=self.table, study=self.study)
        derived: dict[str, str] = {}
        for text in self.derive:
            name, sql = _split(text, "--derive", "NAME = EXPR", first=True)
            if name in derived:
                raise ValueError(f"--derive {name} is given twice")
            derived[name] = sql
        for name in derived:
            if name.startswith(RESERVED):
                raise ValueError(f"--derive {name}: names that begin with {RESERVED!r} are kept for ecosel itself")
        expressions = {name: _Expression(f"--derive {name}", sql) for name, sql in derived.items()}
        where = _Expression("--where", self.where) if self.where is not None else None
        names = list(dict.fromkeys([*archive.columns, *derived]))

        def find(name: str) -> str:
            return find_column(name, names)

        objectives = [Objective(find(c), "max") for c in self.maximize] + [Objective(find(c), "min") for c in self.minimize]
        if not objectives:
            objectives = list(archive.objectives)
        labels = list(dict.fromkeys(find(c) for c in self.labels)) or [c for c in _USUAL_LABELS if c in names][:1]
        by = list(dict.fromkeys(find(c) for c in self.by))
        weights = {find(c): _number(v, "--weight", c) for c, v in (_split(text, "--weight", "COL=W") for text in self.weights)}
        ideal = {find(c): _number(v, "--ideal", c) for c, v in (_split(text, "--ideal", "COL=V") for text in self.ideal)}
        measured = [o.column for o in objectives or CANONICAL if o.column in names]
        wanted = [
            *measured,
            *(f"{c}_{end}" for c in measured for end in ("low", "high", "std")),
            *labels,
            *by,
            "status",
        ]
        for expression in [*expressions.values(), *([where] if where else [])]:
            wanted += [find_column(c, names) if c not in names else c for c in expression.columns]
        read = archive.columns if all_columns else [c for c in dict.fromkeys(wanted) if c in archive.columns]
        if not objectives and len(measured) < 2:
            raise ValueError(_name_the_objectives(archive, paths))
        texts = [c for c in dict.fromkeys([*labels, *by]) if c in read and c not in measured]
        frame = archive.read(read, labels=texts)
        for name, expression in expressions.items():
            frame = frame.with_columns(expression.on(frame, floats=True).alias(name))
        kept = frame if where is None else frame.filter(where.condition(frame))
        origin = Origin(archive.path, frame.height - kept.height, archive.unfinished)
        selection = select(
            kept, objectives or None, labels=labels, by=by, weights=weights, ideal=ideal, scale=self.scale, preset=self.preset,
            top=top, joint=self.joint, pairs=self.pairs, seed=self.seed, origin=origin,
        )  # fmt: skip
        for remark in archive.remarks:
            click.echo(f"ecosel: {remark}", err=True)
        return selection, kept


def find_column(name: str, columns: Sequence[str], /) -> str:
    """Return the column called name; else the only one that differs in case; else raise ValueError with a proposal."""
    if name in columns:
        return name
    alike = [column for column in columns if column.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise ValueError(f"column {name!r} could be {' or '.join(map(repr, alike))}")
    by_lower = {column.lower(): column for column in columns}
    close = difflib.get_close_matches(name.lower(), by_lower, 3, 0.6) or [c for c in by_lower if name.lower() in c][:3]
    if close:
        raise ValueError(f"no column {name!r}; did you mean {' or '.join(repr(by_lower[c]) for c in close)}?")
    shown = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
    raise ValueError(f"no column {name!r}; the columns are {shown}")


def _split(text: str, option: str, form: str, *, first: bool = False) -> tuple[str, str]:
    # a column may hold "=", a number may not; an expression may, a new name may not
    left, sign, right = text.partition("=") if first else text.rpartition("=")
    if not (sign and left.strip() and right.strip()):
        raise ValueError(f"{option} {text!r}: it must have the form {form}")
    return left.strip().strip('"') if first else left.strip(), right.strip()


def _number(text: str, option: str, column: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} {column}={text}: {text!r} is not a number") from None


class _Expression:
    """An SQL expression over the columns of one row; it can read no file and no other table."""

    def __init__(self, option: str, sql: str) -> None:
        self._what = f"{option} {sql!r}"
        if len(sql) > _LONGEST:
            raise ValueError(f"{option}: the expression has {len(sql):,} characters; at most {_LONGEST:,} are read")
        outside_quotes = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " ", sql)
        if re.search(r"\b(select|with|table|values|read_\w+|scan_\w+)\b", outside_quotes, re.IGNORECASE):
            raise ValueError(f"{self._what}: only an expression over the columns of a row is allowed, no query")
        # polars computes with 1.5 as a decimal of few digits; 1.5e0 is the float that is meant
        floats = re.sub(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?<![\w.])(\d+\.\d*|\.\d+)(?![\w.])", _as_float_literal, sql)
        self._expression = self._told_plainly(lambda: pl.sql_expr(floats))
        self.columns = tuple(dict.fromkeys(self._told_plainly(self._expression.meta.root_names)))

    def on(self, frame: pl.DataFrame, *, floats: bool = False) -> pl.Series:
        """Return the value of the expression for each row; text that reads as numbers counts as numbers.

        NaN and infinity are missing. With floats, integers count as floats, which do not wrap round.
        """
        for column in self.columns:
            if column not in frame.columns:
                raise ValueError(f"{self._what}: {_message_of(column, frame)}")
        cells = {column: frame[column] for column in self.columns}
        for column, series in cells.items():
            if series.dtype.is_numeric() or (series.dtype == pl.String and looks_numeric(series)):
                series = read_numbers(series)[0]
            cells[column] = series.cast(pl.Float64) if floats and series.dtype.is_numeric() else series
        result: pl.Series = self._told_plainly(
            lambda: frame.with_columns(cells.values()).select(self._expression.alias("ecosel:result")).to_series()
        )
        if len(result) != frame.height:
            result = self._told_plainly(lambda: pl.select(pl.repeat(result[0], frame.height)).to_series())
        return result.cast(pl.Float64) if result.dtype.is_decimal() else result

    def condition(self, frame: pl.DataFrame) -> pl.Series:
        """Return for which rows the expression is true."""
        result = self.on(frame)
        if result.dtype not in (pl.Boolean, pl.Null):
            raise ValueError(
                f'{self._what}: it must be true or false for a row, not {result.dtype}; for example "accuracy > 0.5"'
            )
        return result.cast(pl.Boolean).fill_null(False)

    def _told_plainly(self, step: Callable[[], Any]) -> Any:
        try:
            with _silent():
                return step()
        except ValueError:
            raise
        except (Exception, pl.exceptions.PanicException) as error:  # a panic of the SQL parser is no Exception
            raise ValueError(f"{self._what}: {(str(error).splitlines() or ['not understood'])[0]}") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what a panic of the SQL parser writes to stderr by itself from the user; the error comes as an exception."""
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _as_float_literal(match: re.Match[str]) -> str:
    return match.group(1) or f"{match.group(2)}e0"


def _message_of(column: str, frame: pl.DataFrame) -> str:
    try:
        found = find_column(column, [name for name in frame.columns if name != ROW])
    except ValueError as error:
        return str(error)
    return f"no column {column!r}; did you mean {found!r}?"


def _name_the_objectives(archive: Archive, paths: Sequence[str]) -> str:
    head = archive.read(archive.columns).head(1000)
    numeric = [column for column in archive.columns if looks_numeric(head[column])]
    if not numeric:
        return f"{archive.path}: no column holds numbers; there is nothing to choose by"
    shown = ", ".join(numeric[:20]) + (f" and {len(numeric) - 20} more" if len(numeric) > 20 else "")
    example = f"--maximize {numeric[0]!r} --minimize {numeric[-1]!r}" if len(numeric) > 1 else f"--minimize {numeric[0]!r}"
    return (
        f"{archive.path}: name the objectives, no direction is guessed; numeric columns: {shown};"
        f" for example: ecosel select {shlex.join(paths)} {example}"
    )
