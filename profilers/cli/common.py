"""Parse options that the measuring commands share, and keep everything but the answer off standard output."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from profilers.errors import ProfilerError

if TYPE_CHECKING:
    from profilers.measuring.settings import Plan


def plan_of(ci: str, *, quick: bool, max_s: float | None) -> Plan:
    """Return the measuring plan given by --ci, --quick and --max-seconds."""
    from profilers.measuring.settings import Plan

    if max_s is not None and not 0 < max_s < 1e9:
        raise ValueError(f"--max-seconds is {max_s}; it must be above 0")
    if quick:
        return Plan.quick(ci=_share(ci), max_s=max_s or 10.0)
    return Plan(ci=_share(ci), max_s=max_s or 60.0, min_s=min(10.0, max_s or 60.0))


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"--ci {text!r} is not a percentage such as 1% or 0.01") from None


def factory_arguments(text: str | None) -> dict[str, Any] | None:
    """Parse the keyword arguments of a factory from JSON."""
    if text is None:
        return None
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--factory-args is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise ValueError('--factory-args must be a JSON object of keyword arguments, such as {"num_classes": 10}')
    return arguments


def check_trace(trace: Path, archive: Path | None) -> None:
    """Find out before a measurement whether its trace can be written."""
    if trace == archive:
        raise click.UsageError(f"{trace} is named for two outputs; give each its own file")
    if trace.exists():
        raise ProfilerError(f"{trace} exists; name another file for the trace")
    if not os.access(trace.absolute().parent, os.W_OK | os.X_OK):
        raise ProfilerError(f"cannot write {trace}: {trace.absolute().parent} is not a writable folder")


@contextmanager
def stdout_aside() -> Iterator[None]:
    """Redirect standard output to standard error within the block, including that of native code and child processes."""
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # the caller closed it, so that nothing can get mixed
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # otherwise output buffered in native code would appear later
        os.dup2(kept, 1)
        os.close(kept)
