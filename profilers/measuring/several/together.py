"""Measure several saved models in turn, in random order, in one process on one device: requests → one point each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from profilers.errors import OutOfMemory, ProfilerError
from profilers.inference.looking import look_closely
from profilers.measuring.device import Device, ReservedDevice, reserve
from profilers.measuring.measurement import Measurement, marks_of, rest
from profilers.measuring.profile import assemble, metric_of
from profilers.measuring.runtime import Prepared, Runtime, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.measuring.several.comparison import compare
from profilers.measuring.several.sweep import Point
from profilers.meters import NoMeter

_SHARED = "several models share the process"


@dataclass(frozen=True)
class _Opened:
    place: int  # among the requests
    request: ProfileSettings
    runtime: Runtime
    prepared: Prepared


def profile_together(requests: Sequence[ProfileSettings], /, *, show: Show) -> list[Point]:
    """Open all models and run a group of batches of each in turn, so that the drift of the device is in all alike.

    The requests differ in their models alone. A model that cannot be opened or run is a point with the reason.
    Raises ProfilerError or ValueError, before anything runs, where a file is missing or the models need different devices.
    """
    runtimes = [runtime_of(request) for request in requests]
    first = requests[0]
    points: dict[int, Point] = {}
    with reserve(_one_device(requests, runtimes), meter=first.meter, plan=first.plan, show=show) as device:
        opened = []
        for place, (request, runtime) in enumerate(zip(requests, runtimes, strict=True)):
            show(Progress(f"opening {request.name}", place / len(requests), 0.0))
            try:
                prepared = runtime.prepare(request, device.place)
                prepared.inference.try_out()
                opened.append(_Opened(place, request, runtime, prepared))
            except ProfilerError as error:
                status = "oom" if isinstance(error, OutOfMemory) else "invalid"
                points[place] = Point(request, status, reason=str(error))
        if opened:
            points |= dict(_measured(opened, device, show))
    return [points[place] for place in range(len(requests))]


def _one_device(requests: Sequence[ProfileSettings], runtimes: Sequence[Runtime]) -> Device:
    """Return the device that all runtimes find under the one name."""
    found = [runtime.find_device(request.device) for request, runtime in zip(requests, runtimes, strict=True)]
    for request, place in zip(requests, found, strict=True):
        if place.code != found[0].code:
            raise ValueError(
                f"{requests[0].name} would run on {found[0].code} and {request.name} on {place.code}; "
                "name one device for all: --device cpu"
            )
    return found[0]


def _measured(opened: Sequence[_Opened], device: ReservedDevice, show: Show) -> Iterator[tuple[int, Point]]:
    plan, seed = opened[0].request.plan, opened[0].request.seed
    plan = plan.of_time_alone() if isinstance(device.meter, NoMeter) else plan
    warm = rest(device.sampler, plan, "idle power with the models", show)
    base = marks_of(device.sampler, idle_cold=device.idle, idle_warm=warm)
    inferences = [one.prepared.inference for one in opened]
    rounds = compare(inferences, device.sampler, plan, rng=np.random.default_rng(seed), show=show, base=base)
    for number, one in enumerate(opened):
        show(Progress(f"looking closely at {one.request.name}", number / len(opened), 0.0))
        metric = metric_of(one.request)
        looked = look_closely(one.prepared.inference, one.prepared.data, latency_s=plan.min_s / 4, metric=metric)
        looked = dataclasses.replace(looked, peak_memory_bytes=None, reasons=looked.reasons | {"peak_memory": _SHARED})
        measurement = Measurement(rounds.marks(number), rounds.warm_up, rounds.ended_by)
        profile = assemble(one.request, one.runtime, device, one.prepared, (measurement, None), looked).profile
        yield one.place, Point(one.request, profile.status, profile)
