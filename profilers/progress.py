"""Show the progress of a measurement on a terminal or in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from profilers.measuring.settings import Progress, Show


def _say_waiting(progress: Progress) -> None:
    """Without a bar, report only phases that would look like a hang."""
    if progress.phase.startswith("waiting"):
        click.echo(progress.phase, err=True)


def _say_phases() -> Show:
    """Return a function that prints each phase as it begins, for notebooks without ipywidgets, which a bar needs."""
    said: list[str] = []

    def show(progress: Progress) -> None:
        if said[-1:] != [progress.phase]:
            said.append(progress.phase)
            click.echo(progress.phase)

    return show


@contextmanager
def progress_bar(shown: bool = True) -> Iterator[Show]:
    """Show a bar on standard error if it is a terminal, or in a notebook."""
    notebook = "ipykernel" in sys.modules
    if not shown or not (notebook or sys.stderr.isatty()):
        yield _say_waiting
        return
    if notebook and find_spec("ipywidgets") is None:
        yield _say_phases()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=Console() if notebook else Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0, left="")

        def show(progress: Progress) -> None:
            left = f"{progress.left_s:.0f} s left" if progress.left_s else ""
            bar.update(task, description=progress.phase, completed=progress.done, left=left)

        yield show
