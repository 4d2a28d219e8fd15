"""Complete the names of columns in a shell, from the archive that stands earlier on the line."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_column(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the columns of the archive that begin with what was typed; none where the archive cannot be read."""
    from ecosel.readers import open_archive

    try:
        # click leaves the arguments in ctx.args where the option that is completed still lacks its value
        paths = [str(path) for path in ctx.params.get("archives") or ctx.args if not str(path).startswith("-")]
        columns = open_archive(paths).columns if paths else ()
    except Exception:  # whatever is wrong with the archive, the command itself will say it; a shell must not
        return []
    return [CompletionItem(column) for column in columns if column.lower().startswith(incomplete.lower())]
