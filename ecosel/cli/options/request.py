"""Turn the options that select, why and report share into a Selection."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import click
import polars as pl

from ecosel.choosing.choice import Origin
from ecosel.choosing.cleaning.frames import columns_in_use
from ecosel.choosing.question import Pick
from ecosel.choosing.scoring import Scale
from ecosel.cli.options.completion import complete_column
from ecosel.errors import ArchiveError
from ecosel.limits import Limit, parse_limit
from ecosel.objectives import CANONICAL, Objective
from ecosel.readers import Archive, open_archive
from ecosel.readers.bounds import Bounds, parse_size
from ecosel.readers.cells.numerals import Mark
from ecosel.readers.cells.units import holds_quantities
from ecosel.readers.derived.combining import join, parse_key
from ecosel.readers.derived.expressions import Expression, column_holding, filter_rows, find_column, no_row, quotes_explained
from ecosel.readers.opening import expand
from ecosel.readers.table import RESERVED, ROW
from ecosel.selection import Selection, select

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Without --label, the first of these columns that the archive has.
_USUAL_LABELS = ("candidate_id", "model", "model_name", "name", "model name", "network", "run_name", "tags.mlflow.runname",
                 "model_id", "trial", "trial_name", "trial_id", "arch", "architecture", "backbone", "method", "run",
                 "run_id")  # fmt: skip
# Column names under which libraries write an unnamed index.
_INDEX = ("", "unnamed: 0", "index")

_COLUMNS: dict[str, Any] = {"multiple": True, "metavar": "COL", "shell_complete": complete_column}
_SHARED = (
    click.option("--maximize", **_COLUMNS, help="Objective: larger is better. Repeatable."),
    click.option("--minimize", **_COLUMNS, help="Objective: smaller is better. Repeatable."),
    click.option("--label", "labels", **_COLUMNS,
                 help="Name models by this column (default: candidate_id, model, name, ...). Repeatable."),
    click.option("--where", multiple=True, metavar="EXPR", help="Use only rows that satisfy this SQL condition. Repeatable."),
    click.option("--derive", multiple=True, metavar='"NAME = EXPR"', help="Add a column computed in SQL. Repeatable."),
    click.option("--by", **_COLUMNS, help="Choose separately for each value of this column. Repeatable."),
    click.option("--weight", "weights", multiple=True, metavar="COL=W", help="Weight of an objective (default: 1). Repeatable."),
    click.option("--ideal", multiple=True, metavar="COL=V",
                 help="Ideal value of an objective (default: 0 for a cost, 1 for accuracy, otherwise the best). Repeatable."),
    click.option("--limit", "limits", multiple=True, metavar='"COL <= V"',
                 help="Choose only among models within this limit. Repeatable."),
    click.option("--within", metavar="P%|POINTS",
                 help="Choose the cheapest model within this distance of the best quality: 1%, 0.5."),
    click.option("--pick", type=click.Choice(["distance", "knee"]), default="distance",
                 help="Choose by weighted distance, or where the front bends most."),
    click.option("--mean-over", "mean_over", multiple=True, metavar="COL",
                 help="Average rows that differ only in this column (seed, fold) into one model. Repeatable."),
    click.option("--scale", type=click.Choice(["max", "range", "archive-range", "none"]), default="max",
                 help="Divide by the largest value on the front, the range on the front, the range over all rows, or nothing."),
    click.option("--preset", type=click.Choice(["paper"]),
                 help="Use the units that reproduce every pick of the paper's Table I: 1 s, 1e7 parameters, 10 mJ."),
    click.option("--joint/--no-joint", default=True, help="Choose over all objectives together."),
    click.option("--pairs/--no-pairs", default=True, help="Choose for each pair of objectives that includes a quality."),
    click.option("--seed", type=click.IntRange(0), default=0, help="Seed of sampled weightings and resampled errors."),
    click.option("--join", "joins", multiple=True, metavar="KEY",
                 help='Merge rows of the files with equal keys: model, "name = model". Repeatable.'),
    click.option("--table", metavar="NAME", help="Table or view of a database, sheet of a workbook, or key of a JSON object."),
    click.option("--decimal", type=click.Choice(["point", "comma"]), help="Decimal mark, if the file is ambiguous."),
    click.option("--study", metavar="NAME", help="Optuna study or MLflow experiment."),
    click.option("--max-size", metavar="SIZE", default="1GB",
                 help="Largest unpacked file to read; also bounds rows and cells."),
)  # fmt: skip


def usual_labels(archive: Archive, names: Sequence[str]) -> list[str]:
    """Return the column that usually names a model; else an index of text; else, for several files, file and row number."""
    lower = {name.lower(): name for name in reversed(names)}
    usual = [lower[name] for name in _USUAL_LABELS if name in lower]
    if usual:
        return usual[:1]
    if names and names[0].lower() in _INDEX and archive.read(names[:1])[names[0]].dtype == pl.String:
        return [names[0]]
    return [name for name in (archive.source, "number") if name in names] if archive.source else []


def shared_options(command: _Command) -> _Command:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@dataclass(frozen=True)
class SelectOptions:
    """The request of the user, as given on the command line."""

    maximize: tuple[str, ...]
    minimize: tuple[str, ...]
    labels: tuple[str, ...]
    where: tuple[str, ...]
    derive: tuple[str, ...]
    by: tuple[str, ...]
    weights: tuple[str, ...]
    ideal: tuple[str, ...]
    limits: tuple[str, ...]
    within: str | None
    scale: Scale
    preset: Literal["paper"] | None
    joint: bool
    pairs: bool
    seed: int
    table: str | None
    study: str | None
    decimal: Mark | None
    max_size: str
    joins: tuple[str, ...]
    mean_over: tuple[str, ...]
    pick: Pick
    left_out: bool = False

    def run(self, paths: Sequence[str], *, top: int = 1, all_columns: bool = False) -> tuple[Selection, pl.DataFrame]:
        """Read the archive and choose; return the selection, and the rows (with ROW) before any were left out."""
        selection, rows, _ = self.choose(self.open(paths), paths, top=top, all_columns=all_columns)
        return selection, rows

    def open(self, paths: Sequence[str]) -> Archive:
        bounds = Bounds(parse_size(self.max_size))
        keys = [parse_key(text) for text in self.joins]
        parts = [[path] for path in expand(paths)] if keys else [paths]
        wanted = (*self.maximize, *self.minimize)
        archives = [
            open_archive(part, table=self.table, study=self.study, decimal=self.decimal, bounds=bounds, names=wanted)
            for part in parts
        ]
        return join(archives, keys) if keys else archives[0]

    def choose(
        self, archive: Archive, paths: Sequence[str], *, top: int = 1, all_columns: bool = False
    ) -> tuple[Selection, pl.DataFrame, pl.DataFrame]:
        """Return the selection, the rows it chose from, and those that --where removed, each with that filter."""
        texts = (*self.derive, *self.where)
        with quotes_explained(texts, archive.columns):
            derived, filters = self._derived(), [Expression("--where", text) for text in self.where]
        found = _Found.of(self, list(dict.fromkeys([*archive.columns, *derived])), archive)
        found.check(archive, paths)
        with quotes_explained(texts, archive.columns):
            frame = self._read(archive, found, [*derived.values(), *filters], all_columns=all_columns)
            for name, expression in derived.items():
                frame = frame.with_columns(expression.on(frame, floats=True).alias(name))
            kept, filtered = filter_rows(frame, filters)
        selection = select(
            kept, found.objectives or None, labels=found.labels, by=found.by, weights=found.weights, ideal=found.ideal,
            scale=self.scale, preset=self.preset, limits=found.limits, within=self.within, mean_over=found.over, pick=self.pick,
            top=top, joint=self.joint, pairs=self.pairs, seed=self.seed,
            origin=Origin(archive.path, filtered.height, archive.unfinished),
        )  # fmt: skip
        for remark in archive.remarks:
            click.echo(f"ecosel: {remark}", err=True)
        compared = [remark for expression in (*derived.values(), *filters) for remark in expression.remarks()]
        selection = replace(selection, remarks=(*archive.later(self.left_out), *compared, *selection.remarks))
        return replace(selection, beside=_beside(archive, selection)), kept, filtered

    def _read(self, archive: Archive, found: _Found, expressions: Sequence[Expression], *, all_columns: bool) -> pl.DataFrame:
        others = [*found.labels, *found.by, *(limit.column for limit in found.limits)]
        others += [column for expression in expressions for column in map(found.column, expression.columns)]
        in_use = columns_in_use(archive.columns, found.objectives, others)
        read = archive.columns if all_columns or found.over else in_use
        texts = [c for c in dict.fromkeys([*found.labels, *found.by]) if c in read and c not in found.measured]
        frame = archive.read(read, labels=texts)
        if not frame.height:
            raise ArchiveError(no_row(archive))
        return frame

    def _derived(self) -> dict[str, Expression]:
        derived: dict[str, Expression] = {}
        for text in self.derive:
            name, sql = _split(text, "--derive", "NAME = EXPR", first=True)
            if name in derived:
                raise ValueError(f"--derive {name} is given twice")
            if name.startswith(RESERVED):
                raise ValueError(f"--derive {name}: names that begin with {RESERVED!r} are reserved for ecosel")
            derived[name] = Expression(f"--derive {name}", sql)
        return derived


@dataclass(frozen=True)
class _Found:
    """The columns that the options name, derived ones included."""

    names: Sequence[str]
    objectives: list[Objective]
    labels: list[str]
    by: list[str]
    over: list[str]
    weights: dict[str, float]
    ideal: dict[str, float]
    limits: list[Limit]

    @classmethod
    def of(cls, options: SelectOptions, names: Sequence[str], archive: Archive, /) -> _Found:
        """Find columns by possibly shortened names; without objectives, take those that the archive itself states."""

        def find(name: str) -> str:
            try:
                return find_column(name, names)
            except ValueError as error:
                column = column_holding(name, archive)
                hint = [f"{name!r} is a cell of {column!r}: give each metric a column (pivot the table)"] if column else []
                raise ValueError("; ".join([str(error), *hint, *archive.remarks])) from error

        objectives = [Objective(find(c), "max") for c in options.maximize] + [Objective(find(c), "min") for c in options.minimize]
        objectives = objectives or list(archive.objectives)
        senses = {o.column: o.sense for o in objectives or CANONICAL}
        return cls(
            names,
            objectives,
            labels=list(dict.fromkeys(map(find, options.labels))) or usual_labels(archive, names),
            by=list(dict.fromkeys(map(find, options.by))),
            over=[find(c.strip()) for text in options.mean_over for c in ([text] if text in names else text.split(","))],
            weights=_by_column(options.weights, "--weight", "COL=W", find),
            ideal=_by_column(options.ideal, "--ideal", "COL=V", find),
            limits=[parse_limit(text, column=find, sense=senses.get) for text in options.limits],
        )

    @property
    def measured(self) -> list[str]:
        return [o.column for o in self.objectives or CANONICAL if o.column in self.names]

    def column(self, name: str, /) -> str:
        return name if name in self.names else find_column(name, self.names)

    def check(self, archive: Archive, paths: Sequence[str], /) -> None:
        for column in self.measured:
            if column in archive.lacking:
                raise ArchiveError(f"{archive.lacking[column]} has no column {column!r}; every file must have the objectives")
        if not self.objectives and len(self.measured) < 2:
            raise ValueError(_name_the_objectives(archive, paths))


def _beside(archive: Archive, selection: Selection) -> pl.DataFrame | None:
    """Return all columns of the models mentioned, if their names repeat, or if they are trials of a study without labels."""
    rows = list(dict.fromkeys(row for choice in selection.choices for row in choice.mentioned()))
    names = selection.labels_of(rows)
    if len(set(names)) == len(names) or not (selection.labels or archive.objectives):
        return None
    try:
        frame = archive.read(archive.columns, labels=selection.labels)
    except ArchiveError:  # a column that nobody asked for cannot be read, or is too large
        return None
    return frame.filter(pl.col(ROW).is_in(rows))


def _by_column(texts: Sequence[str], option: str, form: str, find: Callable[[str], str]) -> dict[str, float]:
    """Return the number that an option gives each column; refuse two numbers for one column."""
    given: dict[str, float] = {}
    for text in texts:
        name, value = _split(text, option, form)
        column, number = find(name), _number(value, option, name)
        if column in given and given[column] != number:
            raise ValueError(f"{option} {column} is given twice, {given[column]:g} and {number:g}; keep one")
        given[column] = number
    return given


def _split(text: str, option: str, form: str, *, first: bool = False) -> tuple[str, str]:
    # a column may contain "=", a number may not; an expression may, a new name may not
    left, sign, right = text.partition("=") if first else text.rpartition("=")
    if not (sign and left.strip() and right.strip()):
        raise ValueError(f"{option} {text!r}: it must have the form {form}")
    return left.strip().strip('"') if first else left.strip(), right.strip()


def _number(text: str, option: str, column: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} {column}={text}: {text!r} is not a number") from None


def _name_the_objectives(archive: Archive, paths: Sequence[str]) -> str:
    head = archive.read(archive.columns).head(1000)
    numeric = [column for column in archive.columns if holds_quantities(head[column])]
    if not numeric:
        return f"{archive.path}: no column is numeric; there is nothing to choose by"
    shown = ", ".join(numeric[:20]) + (f" and {len(numeric) - 20} more" if len(numeric) > 20 else "")
    example = "--maximize COL --minimize COL"
    return (
        f"{archive.path}: name the objectives (ecosel guesses no direction); numeric columns: {shown};"
        f" for example: ecosel select {shlex.join(paths)} {example}"
    )
