"""The command group: commands are named as strings and loaded on use."""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import click

from ecosel import __version__
from ecosel.cli.options.help import grouped
from ecosel.errors import ArchiveError

# Polars reads this when it is imported; by default its allocator keeps freed memory longer than most calls last.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")

# name: (module and object of the command, its line in --help)
COMMANDS = {
    "select": ("ecosel.cli.select:select", "Choose the best trade-offs from an archive of models."),
    "why": ("ecosel.cli.why:why", "Explain why one model is or is not the choice."),
    "report": ("ecosel.cli.report:report", "Write one offline page that shows the choice."),
    "profile": ("profilers.cli.profile:profile", "Measure the accuracy, energy and time of saved models."),
    "compress": ("profilers.cli.compress:compress", "Make smaller, faster variants of a model and measure them against it."),
    "energy": ("profilers.cli.energy:energy", "Turn a power log into joules per inference."),
    "evolve": ("evolver.cli:evolve", "Search for networks and fill an archive with them."),
    "devices": ("profilers.cli.devices:devices", "List what this machine can measure, and with which meter."),
}
# Errors by name: importing these packages only for their error classes would take too long.
_SAID_IN_ONE_LINE = {"PolarsError", "ProfilerError", "EvolverError"}
_HELP = {"-h", "--help"}
# Longest error message in characters; the middle of a longer one is left out.
_LONGEST = 2000
# Commands in which nothing but file-reading libraries could write to stderr.
_READS_ONLY = {"select", "why", "report", "energy"}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in _READS_ONLY:  # OpenBLAS threads would only wait for work
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = grouped(cmd_name, getattr(importlib.import_module(module), name))
        gc.freeze()
        gc.enable()
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            raise click.UsageError(f"no command {args[0]!r}" + (f"; did you mean {close[0]!r}?" if close else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="ecosel")
def group(debug: bool) -> None:
    """Choose among trained networks by accuracy, energy per inference, inference time and parameters."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit with 0 (success), 1 (bad input or outside failure), 2 (wrong usage) or 130 (stopped)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    gc.disable()  # modules are not garbage: collecting while they load, and at exit, would take 40 ms
    status = _run(given)
    gc.freeze()
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    debug = arguments[:1] == ["--debug"]
    try:
        with _guarded(arguments):
            status = group.main(arguments, prog_name="ecosel", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "ecosel"
        return _fail(f"{error.format_message()} ({where} --help)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 1)
    except BrokenPipeError:
        # the reader closed the pipe; Python must not fail again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (click.Abort, KeyboardInterrupt) as stop:
        return _fail("stopped", getattr(stop.__cause__ or stop, "status", 130))
    except Exception as error:
        known = any(kind.__name__ in _SAID_IN_ONE_LINE for kind in type(error).__mro__)
        if debug or not (known or isinstance(error, (ValueError, ArchiveError, OSError, MemoryError))):
            raise
        if isinstance(error, MemoryError):
            return _fail("out of memory", 1)
        return _fail(_words(error), 2 if isinstance(error, ValueError) else 1)
    except BaseException as error:
        if debug or type(error).__name__ != "PanicException":  # of polars, which is not an Exception
            raise
        return _fail(f"a library panicked ({error}): the file is damaged, or holds what the library cannot read", 1)


def _words(error: Exception) -> str:
    """Return an error's message, that of the system without its number."""
    if isinstance(error, OSError) and error.strerror and error.args[1:2] == (error.strerror,):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


@contextmanager
def _guarded(arguments: list[str]) -> Iterator[None]:
    """Turn library aborts into one line; leave alone the stderr of models and trainings, and --debug."""
    if not arguments or arguments[0] not in COMMANDS or not _HELP.isdisjoint(arguments):
        yield
        return
    from ecosel.cli.aborts import one_line_aborts

    with one_line_aborts(silent=arguments[0] in _READS_ONLY or "--verify" in arguments):
        yield


def _fail(message: str, status: int) -> int:
    from ecosel.output.characters import printable

    words = " ".join(message.split())
    if len(words) > _LONGEST:  # it quotes a stranger's long name
        words = f"{words[: _LONGEST // 2]} ... {words[-_LONGEST // 2 :]}"
    click.echo(f"ecosel: {printable(words)}", err=True)
    return status
