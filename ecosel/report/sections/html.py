"""Define the parts of a page section: drawings, and the filters through which the template writes text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ecosel.output.characters import printable, shortened


@dataclass(frozen=True)
class Drawing:
    """A chart that the script fills in: the element that holds it, its specification, its data, and its group."""

    id: str
    spec: Mapping[str, Any]
    data: Mapping[str, Any]
    group: int | None = None


@dataclass(frozen=True)
class Chart:
    """A chart of the page, and the text above it, which replaces the chart for those who cannot see it."""

    drawing: Drawing | None
    words: str
    letter: str = ""
    group: int | None = None


def text(words: object, /, most: int = 300) -> str:
    """Return text without unprintable characters, cut to a length; the template escapes and isolates it."""
    return shortened(str(words), most)


def whole(words: object, /) -> str:
    return printable(str(words))


def columns_of(frame: pl.DataFrame, /) -> dict[str, list[Any]]:
    """Return a frame as JSON-able columns; NaN and infinity, which JSON lacks, are null."""
    clean = frame.with_columns(
        pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c, t in frame.schema.items() if t.is_float()
    )
    return clean.to_dict(as_series=False)
