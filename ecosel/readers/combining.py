"""Put archives together: the rows of several files one after another."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ecosel.readers.table import Archive


def stack(path: str, archives: Sequence[Archive], /) -> Archive:
    """Put the rows of archives one after another; a column that stands only in some is missing in the rows of the others."""
    first = archives[0]
    columns = tuple(dict.fromkeys(column for archive in archives for column in archive.columns))
    # studies that differ in what is better state nothing together
    agreed = first.objectives if all(archive.objectives == first.objectives for archive in archives) else ()
    label = "source" if "source" not in columns else "source_file"

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        frames = []
        for archive in archives:
            own = [column for column in wanted if column in archive.columns] or list(archive.columns[:1])
            frame = archive.load(own, [column for column in labels if column in own])
            frames.append(frame.with_columns(pl.lit(archive.path).alias(label)))
        return pl.concat(frames, how="diagonal_relaxed").select(wanted)

    remarks = list(dict.fromkeys(remark for archive in archives for remark in archive.remarks))
    return Archive(
        path, (*columns, label), load, agreed, None, sum(archive.unfinished for archive in archives), tuple(remarks),
        {name: f"{why} ({archive.path})" for archive in archives for name, why in archive.absent.items()},
        {column: without for column in columns if (without := _without(archives, column))},
    )  # fmt: skip


def _without(archives: Sequence[Archive], column: str) -> str | None:
    return next((archive.path for archive in archives if column not in archive.columns), None)
