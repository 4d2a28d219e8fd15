"""Combine archives: the rows of several files one after another, or their columns side by side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.derived.expressions import Expression, find_column
from ecosel.readers.table import RESERVED, ROW, Archive, listed


def stack(path: str, archives: Sequence[Archive], /) -> Archive:
    """Concatenate the rows of archives; a column that only some of them have is missing in the others' rows."""
    first = archives[0]
    columns = tuple(dict.fromkeys(column for archive in archives for column in archive.columns))
    # studies with different directions state no common ones
    agreed = first.objectives if all(archive.objectives == first.objectives for archive in archives) else ()
    label = "source" if "source" not in columns else "source_file"
    holds = [frozenset(archive.columns) for archive in archives]
    without = {
        column: next((archive.path for archive, held in zip(archives, holds, strict=True) if column not in held), None)
        for column in columns
    }

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        frames = []
        for archive, held in zip(archives, holds, strict=True):
            own = [column for column in wanted if column in held] or list(archive.columns[:1])
            frame = archive.load(own, [column for column in labels if column in own])
            frames.append(frame.with_columns(pl.lit(archive.path).alias(label)))
        return pl.concat(frames, how="diagonal_relaxed").select(wanted)

    remarks = list(dict.fromkeys(remark for archive in archives for remark in archive.remarks))
    return Archive(
        path, (*columns, label), load, agreed, None, sum(archive.unfinished for archive in archives), tuple(remarks),
        {name: f"{why} ({archive.path})" for archive in archives for name, why in archive.absent.items()},
        source=label, lacking={column: path for column, path in without.items() if path},
    )  # fmt: skip


@dataclass(frozen=True)
class Key:
    """The key of a join: an expression over the columns of the first table, and one over those of another."""

    first: Expression
    other: Expression


def parse_key(text: str, /) -> Key:
    """Read a key such as `model`, `"name" = model` or `split_part(name, '.', 1) = model`."""
    quoted = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
    sides = [side.strip() for side in re.split(r"(?<![<>=!])=(?!=)", re.sub(quoted, lambda m: m[0].replace("=", "\0"), text))]
    if len(sides) > 2 or not all(sides):
        raise ValueError(f"--join {text!r}: name a column, or two as in --join 'name = model'")
    first, *other = (side.replace("\0", "=") for side in sides)
    return Key(_side(first), _side(other[0] if other else first))


def _side(text: str) -> Expression:
    # a name with blanks or signs is that of a column if there is one; as SQL it would need quotes
    return Expression("--join", text if re.fullmatch(r"[A-Za-z_]\w*", text) or re.search(r"[\"()'|]", text) else f'"{text}"')


def join(archives: Sequence[Archive], keys: Sequence[Key], /) -> Archive:
    """Merge the columns of archives for rows with equal keys; rows are numbered as in the first.

    A column found in several files gets its file as a prefix. Raises ArchiveError if a key is not unique.
    """
    if len(archives) < 2:
        raise ValueError("--join needs two or more files; name another one")
    tables, unmatched = _tables(archives, keys), list[tuple[str, pl.Series]]()
    columns = tuple(dict.fromkeys(name for table in tables for name in table.names))
    on = [f"{_KEY}{k}" for k in range(len(keys))]

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        unmatched.clear()
        joined = tables[0].read(wanted, labels)
        for table in tables[1:]:
            other = table.read([name for name in wanted if name not in joined.columns], labels).rename({ROW: f"{RESERVED}other"})
            paths = tables[0].archive.path, table.archive.path
            both = _some_joined(joined, other, on, paths=paths).drop(f"{RESERVED}other")
            for frame, (here, there) in ((joined, paths), (other, paths[::-1])):
                if both.height < frame.height:
                    alone = frame.join(both, on=on, how="anti").select(pl.concat_str(on, separator=" / ").fill_null("no key"))
                    match = "matches" if alone.height == 1 else "match"
                    unmatched.append((f"of {here} {match} no row of {there}", alone.to_series()))
            joined = both
        return joined.select(ROW, *wanted)

    def later(whole: bool) -> tuple[str, ...]:
        return tuple(
            f"{len(alone):,} row{'' if len(alone) == 1 else 's'} {where}: {listed(alone.to_list(), len(alone) if whole else 5)}"
            for where, alone in unmatched
        )

    renamed = {(table.archive.path, own): name for table in tables for name, own in table.names.items()}
    stated = next((archive for archive in archives if archive.objectives), archives[0])
    return Archive(
        " ".join(archive.path for archive in archives), columns, load,
        tuple(Objective(renamed[stated.path, o.column], o.sense) for o in stated.objectives), None,
        sum(archive.unfinished for archive in archives), tuple(dict.fromkeys(r for archive in archives for r in archive.remarks)),
        archives[0].absent, later=later,
    )  # fmt: skip


_KEY = f"{RESERVED}key"


@dataclass(frozen=True)
class _Table:
    """An archive, its key, and the names of its columns in the joined table."""

    archive: Archive
    names: dict[str, str]
    """Own name by the name in the joined table."""
    key: tuple[Expression, ...]

    def read(self, wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        """Read the wanted columns of this archive, with ROW and the key."""
        own = {self.names[name]: name for name in wanted if name in self.names}
        of_key = [self._found(part, column) for part in self.key for column in part.columns]
        texts = [*(self.names[name] for name in labels if name in self.names), *of_key]
        frame = self.archive.read(list(dict.fromkeys([*own, *of_key])), labels=list(dict.fromkeys(texts)))
        parts = [_comparable(part.on(frame)).alias(f"{_KEY}{k}") for k, part in enumerate(self.key)]
        return frame.select(ROW, *parts, *(pl.col(column).alias(name) for column, name in own.items()))

    def _found(self, part: Expression, column: str) -> str:
        try:
            return find_column(column, self.archive.columns)
        except ValueError as error:
            raise ValueError(f"--join {part.sql!r}: {error} ({self.archive.path})") from error


def _some_joined(one: pl.DataFrame, other: pl.DataFrame, on: list[str], *, paths: tuple[str, str]) -> pl.DataFrame:
    both = _joined(one, other, on, paths=paths)
    if both.height or not (one.height and other.height):
        return both
    keys = [frame.select(pl.concat_str(on, separator=" / ", ignore_nulls=True))[0, 0] for frame in (one, other)]
    raise ArchiveError(
        f"--join: no row of {paths[0]} has the key of a row of {paths[1]}; they begin with {keys[0]!r} and {keys[1]!r}."
        " An expression can make keys equal, as in --join \"split_part(model, '.', 1) = lower(name)\""
    )


def _tables(archives: Sequence[Archive], keys: Sequence[Key]) -> list[_Table]:
    sides = [tuple(key.first for key in keys), *(tuple(key.other for key in keys) for _ in archives[1:])]
    shared = [key.first.columns for key in keys if key.first.sql == key.other.sql and len(key.first.columns) == 1]
    of_key = {column for columns in shared for column in columns}
    prefixes = _prefixes([archive.path for archive in archives])
    tables = []
    times = Counter(column for archive in archives for column in set(archive.columns))
    for archive, prefix, side in zip(archives, prefixes, sides, strict=True):
        names = {}
        for column in archive.columns:
            elsewhere = times[column] > 1
            names[f"{prefix}.{column}" if elsewhere and column not in of_key else column] = column
        tables.append(_Table(archive, names, side))
    return tables


def _prefixes(paths: Sequence[str]) -> list[str]:
    stems = [Path(path).name.split(".")[0] for path in paths]
    return stems if len(set(stems)) == len(stems) else list(paths)


def _comparable(cells: pl.Series) -> pl.Series:
    """Return the cells of a key as text, so that 224 in one file equals "224" in another."""
    if cells.dtype.is_float() and (cells.drop_nulls() % 1 == 0).all():
        cells = cells.cast(pl.Int64, strict=False)
    return cells.cast(pl.String)


def _joined(first: pl.DataFrame, other: pl.DataFrame, on: list[str], *, paths: tuple[str, str]) -> pl.DataFrame:
    for frame, path in zip((first, other), paths, strict=True):
        keys = frame.select(on).drop_nulls()
        if keys.n_unique() < keys.height:
            twice = frame.filter(frame.select(on).is_duplicated()).drop_nulls(on)
            key = " / ".join(twice.row(0, named=True)[column] for column in on)
            rows = twice.filter(pl.all_horizontal(pl.col(column) == twice[column][0] for column in on))
            at = rows[ROW if ROW in rows.columns else f"{RESERVED}other"]
            raise ArchiveError(
                f"the key {key!r} occurs {rows.height} times in {path}, in rows {at[0]} and {at[1]}; keys must be unique:"
                " add columns with --join, or filter rows with --where"
            )
    return first.join(other, on=on, how="inner", maintain_order="left")
