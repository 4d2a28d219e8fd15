"""What a section of the page is made of: escaped HTML, and the drawings that the script fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import polars as pl

from ecosel.output.names import printable, shortened


@dataclass(frozen=True)
class Drawing:
    """A chart of the page: the element it stands in, its Vega-Lite specification, and what the script must know of it."""

    id: str
    spec: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    group: int | None = None


@dataclass(frozen=True)
class Section:
    html: str
    drawings: tuple[Drawing, ...] = ()


def text(words: object, /, most: int = 300) -> str:
    """Return words as HTML text in which nothing is markup and nothing turns the direction of what follows."""
    return f"<bdi>{escape(shortened(str(words), most))}</bdi>"


def attribute(words: object, /) -> str:
    return escape(printable(str(words)))


def chart_element(id_: str, alternative: str, /) -> str:
    """Return the element that a chart is drawn into, with the words that stand for it where it cannot be seen."""
    return f'<div class="chart" id="{id_}" role="img" aria-label="{attribute(alternative)}"></div>'


def columns_of(frame: pl.DataFrame, /) -> dict[str, list[Any]]:
    """Return a frame as JSON-able columns; NaN and infinity, which JSON lacks, are null."""
    clean = frame.with_columns(
        pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c, t in frame.schema.items() if t.is_float()
    )
    return clean.to_dict(as_series=False)
