"""Measure every combination of settings, each in its own child process."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profilers.errors import OutOfMemory, ProfilerError
from profilers.inference.protocol import MODES, PRECISIONS
from profilers.machine.child import ChildProcess, DeviceSlot, Died, say
from profilers.measuring.settings import ProfileSettings, Show
from profilers.results.inference_profile import InferenceProfile

# A process without progress for this long hangs; it is longer than the wait for another measurement, and than compiling.
_SILENCE_S = 7200.0
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
    """One combination: its profile, or the status and the reason for having none."""

    request: ProfileSettings
    status: str
    profile: InferenceProfile | None = None
    reason: str | None = None


def combinations(request: ProfileSettings, texts: Sequence[str], /) -> list[ProfileSettings]:
    """Return the settings of every combination of `name=value,value` texts; the first name changes slowest."""
    axes = [_axis(text) for text in texts]
    names = [name for name, _ in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--sweep names {twice.replace('_', '-')} twice; give all its values in one option")
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

    Failed ones are tried again, as the cause may be fixed, but not those that were too large.
    """
    return [request for request in requests if status.get(request.configuration) not in ("ok", "oom")]


def sweep(requests: Sequence[ProfileSettings], /, *, show: Show) -> Iterator[Point]:
    """Measure each request in a fresh process, and yield it when it is done; a process that dies costs one point."""
    for request in requests:
        child = ChildProcess(DeviceSlot(), shows=True)
        try:
            yield child.call(f"{__name__}:measure_point", (request,), deadline_s=_SILENCE_S, hear=show)
        except Died as death:
            yield Point(request, "oom" if death.kind == "oom" else "crash", reason=str(death))
        finally:
            child.kill()


def measure_point(request: ProfileSettings, /) -> Point:
    """Measure one combination; the sweep calls this in a separate process."""
    from profilers.measuring.profile import profile

    try:
        found = profile(request, show=say).profile
    except OutOfMemory as error:
        return Point(request, "oom", reason=str(error))
    except (ProfilerError, ValueError, OSError) as error:
        return Point(request, "invalid", reason=str(error))
    return Point(request, found.status, found)
