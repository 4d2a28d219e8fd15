"""Measure every combination of settings, each in a child process of its own: a request → rows."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from profilers.errors import OutOfMemory, ProfilerError
from profilers.inference.modes import MODES, PRECISIONS
from profilers.machine.stdout import stdout_aside
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.results.inference_profile import InferenceProfile

_SWITCH = {"yes": True, "no": False}
# name on the command line: (field of a ProfileSettings, its values; None for whole numbers)
_AXES: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "batch": ("batch_size", None),
    "precision": ("precision", {name: name for name in PRECISIONS}),
    "mode": ("mode", {name: name for name in MODES}),
    "channels-last": ("channels_last", _SWITCH),
    "compile": ("compile", _SWITCH),
}


@dataclass(frozen=True)
class Point:
    """One combination: its profile, or the status and the reason of there being none."""

    request: ProfileSettings
    status: str
    profile: InferenceProfile | None = None
    reason: str | None = None


def combinations(request: ProfileSettings, texts: Sequence[str], /) -> list[ProfileSettings]:
    """Return a request for every combination of `name=value,value` texts; the first name changes slowest."""
    axes = [_axis(text) for text in texts]
    names = [name for name, _ in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--sweep names {twice.replace('_', '-')} twice; give all its values in one")
    products = itertools.product(*(values for _, values in axes))
    return [dataclasses.replace(request, **dict(zip(names, values, strict=True))) for values in products]


def _axis(text: str) -> tuple[str, list[Any]]:
    name, _, listed = text.partition("=")
    if name not in _AXES or not listed:
        raise ValueError(f"--sweep {text!r} is not NAME=VALUE,VALUE with a NAME of {', '.join(_AXES)}")
    field, known = _AXES[name]
    values = []
    for word in listed.split(","):
        word = word.strip()
        if known is None and word.isdecimal() and int(word) > 0:
            values.append(int(word))
        elif known is not None and word in known:
            values.append(known[word])
        else:
            raise ValueError(
                f"--sweep {name}: {word!r} is not "
                + ("a positive whole number" if known is None else f"one of {', '.join(known)}")
            )
    return field, list(dict.fromkeys(values))


def unfinished(requests: Sequence[ProfileSettings], status: Mapping[str, str], /) -> list[ProfileSettings]:
    """Return the requests that have no result yet, by the status of each configuration.

    What had failed is tried again, as what was wrong may be mended; but a model that was too large stays so.
    """
    return [request for request in requests if status.get(request.configuration) not in ("ok", "oom")]


def sweep(requests: Sequence[ProfileSettings], /, *, show: Show) -> Iterator[Point]:
    """Measure each request in a fresh process and yield it when it is done; a process that dies costs one point."""
    context = multiprocessing.get_context("spawn")
    for request in requests:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_measure, args=(request, theirs), daemon=True)
        # An interrupt from the keyboard goes to all processes; the child inherits that it is held back, this one gets it later.
        resource_tracker.ensure_running()  # it would let interrupts through again while it starts
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
        try:
            yield _outcome(request, ours, show) or _died(request, process)
        finally:
            process.kill()
            process.join()
            ours.close()


def _outcome(request: ProfileSettings, connection: Connection, show: Show) -> Point | None:
    try:
        while isinstance(message := connection.recv(), Progress):
            show(message)
    except EOFError:
        return None
    if isinstance(message, InferenceProfile):
        return Point(request, message.status, message)
    status, reason = message
    return Point(request, status, reason=reason)


def _died(request: ProfileSettings, process: Any) -> Point:
    process.join()
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return Point(request, "crash", reason=f"killed by {name}" + (": out of memory, perhaps" if name == "SIGKILL" else ""))
    return Point(request, "crash", reason=f"the process ended with status {code}")


def _measure(request: ProfileSettings, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends this process
    from profilers.measuring.profile import profile

    try:
        with stdout_aside():
            found = profile(request, show=connection.send).profile
        connection.send(found)
    except OutOfMemory as error:
        connection.send(("oom", str(error)))
    except (ProfilerError, ValueError, OSError) as error:
        connection.send(("invalid", str(error)))
