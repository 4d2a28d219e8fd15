"""`ecosel report`: from archives to one offline page, or a figure for a paper."""

from __future__ import annotations

import hashlib
import shlex
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecosel.cli.options.request import SelectOptions, shared_options
from ecosel.cli.writing import check_targets, write
from ecosel.readers.opening import expand

if TYPE_CHECKING:
    import polars as pl

    from ecosel.selection import Selection


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@shared_options
@click.option("-o", "--output", metavar="FILE", help="File of the page (default: report.html, or no page with --static).")
@click.option("--static", "static", metavar="FILE", help="Write the fronts as a static figure: .svg, .png or .pdf.")
@click.option(
    "--columns", type=click.IntRange(1, 2), default=2, show_default=True, help="Width of the figure, in text columns of a paper."
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--watch", "watch_", is_flag=True, help="Rewrite the page whenever the archive changes, until Ctrl-C.")
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
def report(
    archives: tuple[str, ...],
    output: str | None,
    static: str | None,
    columns: int,
    force: bool,
    watch_: bool,
    open_: bool,
    **shared: Any,
) -> None:
    """Write one offline HTML page that shows the choice.

    Takes the options of select. The page names the model to choose, with its numbers, its losses and gains, and how certain
    the choice is. It has sliders for weights and limits, charts, a table of the front, and the origin of the numbers.
    """
    output = output or (None if static else "report.html")
    if watch_ and (output in (None, "-") or static):
        raise ValueError("--watch needs a page; name its file with -o, without --static")
    _check(archives, output, static, force=force, open_=open_)
    if watch_ and output:
        return _watch(archives, output, shared, open_=open_)
    from ecosel.report.figure import as_figure, figure_format

    form = figure_format(static) if static else None
    selection, rows = SelectOptions(**shared).run(archives, all_columns=output is not None)
    answers: list[tuple[str | bytes, str | None]] = []
    if output:
        answers.append((_page(archives, shared, selection, rows), output))
    if static and form:
        answers.append((as_figure(selection, form, columns=columns), static))
    write(*answers)
    for name in (name for name in (output, static) if name not in (None, "-")):
        click.echo(name)
    if open_ and output:
        webbrowser.open(Path(output).resolve().as_uri())


def _page(
    archives: tuple[str, ...], shared: dict[str, Any], selection: Selection, rows: pl.DataFrame, *, written: float | None = None
) -> str:
    from ecosel.report.page import as_page
    from ecosel.report.view.unrestricted import is_slider

    digest, folder = _identified(archives)
    limits = zip(shared["limits"], selection.requirements.limits, strict=True)
    others = tuple(text for text, limit in limits if not is_slider(limit, selection.objectives))
    return as_page(
        selection, rows, command=shlex.join([*_command("report", archives, shared), "-o", "report.html"]),
        select=_command("select", archives, {**shared, "weights": (), "limits": others, "within": None}),
        digest=digest, folder=folder, written=written,
    )  # fmt: skip


def _watch(archives: tuple[str, ...], output: str, shared: dict[str, Any], *, open_: bool) -> None:
    from ecosel.cli.watching import watch

    told: list[str] = []

    def write_page(written: float | None) -> None:
        selection, rows = SelectOptions(**shared).run(archives, all_columns=True)
        write((_page(archives, shared, selection, rows, written=written), output))
        if not told:
            click.echo(output)
            told.append(output)
            if open_:
                webbrowser.open(Path(output).resolve().as_uri())

    watch(archives, write_page)


def _check(archives: tuple[str, ...], output: str | None, static: str | None, *, force: bool, open_: bool) -> None:
    if open_ and output in (None, "-"):
        raise ValueError("--open needs a page; name its file with -o")
    check_targets([output, static], expand(archives))
    for file in (name for name in (output, static) if name is not None and name != "-"):
        if Path(file).exists() and not force:
            raise FileExistsError(f"{file} exists; add --force to replace it, or name another file")


def _command(name: str, archives: tuple[str, ...], shared: dict[str, Any]) -> list[str]:
    """Return the words of a command, without defaults and outputs."""
    words = ["ecosel", name, *archives]
    for option in (option for option in report.params if isinstance(option, click.Option) and option.name in shared):
        given = shared[str(option.name)]
        if given == option.get_default(click.Context(report)) or given in (None, ()):
            continue
        if option.is_flag:
            words.append(option.opts[0] if given else option.secondary_opts[0])
            continue
        for value in given if isinstance(given, tuple) else (given,):
            words += [option.opts[0], str(value)]
    return words


def _identified(archives: tuple[str, ...]) -> tuple[str | None, Path | None]:
    """Return the SHA-256 and the folder of an archive that is one file."""
    files = [Path(name) for name in expand(archives) if name != "-"]
    if len(files) != 1 or not files[0].is_file():
        return None, None
    with files[0].open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), files[0].parent
