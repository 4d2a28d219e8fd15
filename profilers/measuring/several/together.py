"""Measure several saved models in turn, in random order, in one process on one device."""

from __future__ import annotations

from collections.abc import Sequence

from profilers.errors import OutOfMemory, ProfilerError
from profilers.measuring.device import Device, reserve
from profilers.measuring.runtime import Runtime, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.measuring.several.side_by_side import Opened, measure_side_by_side
from profilers.measuring.several.sweep import Point


def profile_together(requests: Sequence[ProfileSettings], /, *, show: Show) -> list[Point]:
    """Open all models and run a group of batches of each in turn, so that the drift of the device affects all alike.

    The requests differ only in their models. A model that cannot be opened or run becomes a point with the reason.
    Raises ProfilerError or ValueError, before anything runs, if a file is missing or the models need different devices.
    """
    runtimes = [runtime_of(request) for request in requests]
    first = requests[0]
    points: dict[int, Point] = {}
    with reserve(_one_device(requests, runtimes), meter=first.meter, plan=first.plan, show=show) as device:
        opened: dict[int, Opened] = {}
        for place, (request, runtime) in enumerate(zip(requests, runtimes, strict=True)):
            show(Progress(f"opening {request.name}", place / len(requests), 0.0))
            try:
                prepared = runtime.prepare(request, device.place)
                prepared.inference.try_out()
                opened[place] = Opened(request, runtime, prepared)
            except ProfilerError as error:
                status = "oom" if isinstance(error, OutOfMemory) else "invalid"
                points[place] = Point(request, status, reason=str(error))
        if opened:
            _, found = measure_side_by_side(list(opened.values()), device, show=show)
            for place, (_, profile) in zip(opened, found, strict=True):
                points[place] = Point(requests[place], profile.status, profile)
    return [points[place] for place in range(len(requests))]


def _one_device(requests: Sequence[ProfileSettings], runtimes: Sequence[Runtime]) -> Device:
    """Return the device that all runtimes find under the same name."""
    found = [runtime.find_device(request.device) for request, runtime in zip(requests, runtimes, strict=True)]
    for request, place in zip(requests, found, strict=True):
        if place.code != found[0].code:
            raise ValueError(
                f"{requests[0].name} would run on {found[0].code} and {request.name} on {place.code}; "
                "name one device for all: --device cpu"
            )
    return found[0]
