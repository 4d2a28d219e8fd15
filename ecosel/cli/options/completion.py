"""Complete column names in a shell, from the archive named earlier on the line."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_column(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the columns of the archive that begin with the typed text, none if the archive cannot be read."""
    from ecosel.readers import open_archive

    try:
        # click leaves the arguments in ctx.args if the option being completed has no value yet
        paths = [str(path) for path in ctx.params.get("archives") or ctx.args if not str(path).startswith("-")]
        columns = open_archive(paths).columns if paths else ()
    except Exception:  # the command itself reports errors in the archive; completion must not
        return []
    return [CompletionItem(column) for column in columns if column.lower().startswith(incomplete.lower())]
