"""`ecosel select`: from archives to the picks, as a table or in a format for programs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import polars as pl

from ecosel.cli.options.request import SelectOptions, shared_options
from ecosel.cli.writing import check_targets, terminal_width, write
from ecosel.output.characters import printable
from ecosel.output.documents import as_json, as_plain, marked_frame, picks_frame
from ecosel.output.text import WIDTH, as_markdown, as_text
from ecosel.readers.opening import expand
from ecosel.selection import Selection

_SUFFIXES = {
    ".json": "json",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".md": "markdown",
}


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@shared_options
@click.option("--top", type=int, default=1, show_default=True, metavar="K", help="Show the K models closest to the ideal point.")
@click.option("--left-out", is_flag=True, help="List the rows left out for a missing value, on standard error.")
@click.option("--hypervolume", is_flag=True, help="Show the hypervolume of each front; JSON always has it.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "ndjson", "parquet", "markdown"]),
              help="Output format (default: from the name given to -o, otherwise table).")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write the answer to a file instead of standard output.")
@click.option(
    "--front",
    metavar="FILE",
    help="Also write every row used, with on_front, rank (0 for the front) and distance: .csv, .parquet, .ndjson.",
)
def select(
    archives: tuple[str, ...],
    top: int,
    left_out: bool,
    hypervolume: bool,
    form: str | None,
    output: str | None,
    front: str | None,
    **shared: Any,
) -> None:
    """Choose the best trade-offs from an archive of models.

    ARCHIVE is a table (CSV, TSV, Excel, Markdown, Parquet, Arrow, JSON, NDJSON, SQLite, DuckDB; text and JSON also
    compressed), results of Optuna, MLflow, Ray Tune and other tools, a quoted glob, or - for standard input. Several files
    become one archive with a column "source".

    For each pair of objectives that includes a quality, and for all objectives together, select finds the Pareto front, the
    best model in each objective, and the best trade-off: the model with the smallest weighted distance to the ideal point.
    """
    form = form or (_SUFFIXES.get(Path(output).suffix.lower(), "table") if output else "table")
    check_targets([output, front], expand(archives))
    writer = None if front is None else _frame_writer(front)
    if form == "parquet" and output in (None, "-") and sys.stdout is not None and sys.stdout.isatty():
        raise ValueError("Parquet is not for a terminal; name a file with -o")
    selection, rows = SelectOptions(**shared, left_out=left_out).run(archives, top=top, all_columns=front is not None)
    to_terminal = output in (None, "-") and sys.stdout is not None and sys.stdout.isatty()
    answer = _render(selection, form, to_terminal=to_terminal, hypervolume=hypervolume)
    if to_terminal and form in ("csv", "ndjson", "json"):  # which hold the names of a stranger's file as they are
        text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
        answer = "\n".join(map(printable, text.split("\n")))
    write(*([(writer(marked_frame(selection, rows)), front)] if writer else []), (answer, output))
    if left_out:
        for row, missing in selection.left_out.iter_rows():
            click.echo(printable(f"row {row}: no value in {missing}"), err=True)


def _render(selection: Selection, form: str, *, to_terminal: bool, hypervolume: bool) -> str | bytes:
    if form == "json":
        return as_json(selection)
    if form == "markdown":
        return as_markdown(selection)
    if form == "table":
        if not to_terminal:
            return as_text(selection, hypervolume=hypervolume)
        color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return as_text(selection, color=color, hypervolume=hypervolume, width=terminal_width() or WIDTH)
    return _frame_writer(f"picks.{form}")(picks_frame(selection))


def _frame_writer(target: str) -> Callable[[pl.DataFrame], bytes]:
    suffix = Path(target).suffix.lower()
    if suffix not in (".csv", ".parquet", ".ndjson", ".jsonl"):
        raise ValueError(f"--front {target}: the name must end in .csv, .parquet or .ndjson")

    def to_bytes(frame: pl.DataFrame) -> bytes:
        buffer = io.BytesIO()
        if suffix != ".parquet":
            frame = frame.with_columns(as_plain(series) for series in frame)
        if suffix == ".csv":
            frame.write_csv(buffer)
        elif suffix == ".parquet":
            frame.write_parquet(buffer)
        else:
            frame.write_ndjson(buffer)
        return buffer.getvalue()

    return to_bytes
