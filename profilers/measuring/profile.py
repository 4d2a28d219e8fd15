"""Measure one saved model on one device: settings → an InferenceProfile, its trace and the record that verifies it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profilers.energy.sampling.trace import PowerTrace, write_trace
from profilers.errors import ModelError
from profilers.inference.looking import SideFigures, look_closely
from profilers.measuring.compiling import NotCompiled, measure_inference
from profilers.measuring.device import ReservedDevice, reserve
from profilers.measuring.measurement import Measurement
from profilers.measuring.metadata import loop_share, metadata_of
from profilers.measuring.runtime import Prepared, Runtime, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.results.building import Compilation, RawFigures, build
from profilers.results.inference_profile import InferenceProfile

if TYPE_CHECKING:
    from profilers.inference.metrics import OwnMetric


@dataclass(frozen=True)
class Profiled:
    """A profile, and what `write_trace` needs to keep it."""

    profile: InferenceProfile
    trace: PowerTrace
    record: dict[str, Any]

    def write_trace(self, target: Path, /) -> None:
        write_trace(target, self.trace, self.record)


class Uncompiled(ModelError):  # noqa: N818
    """A model cannot be compiled; `profiled` is of the model as it is."""

    def __init__(self, reason: str, profiled: Profiled) -> None:
        super().__init__(reason)
        self.profiled = profiled


def profile(settings: ProfileSettings, /, *, show: Show = lambda progress: None) -> Profiled:
    """Measure a model. Raises ProfilerError if it cannot be opened, run or measured, ValueError for wrong arguments.

    If it cannot be compiled, what was measured before comes with the error, Uncompiled.
    """
    plan, seed = settings.plan, settings.seed
    runtime = runtime_of(settings)
    with reserve(
        runtime.find_device(settings.device), meter=settings.meter, plan=plan, show=show, calibration=settings.calibration
    ) as device:
        show(Progress("opening the model", 0.0, 0.0))
        prepared = runtime.prepare(settings, device.place)

        def finish(settings: ProfileSettings, measured: tuple[Measurement, Compilation | None]) -> Profiled:
            show(Progress("looking closely", 0.0, 0.0))
            looked = look_closely(prepared.inference, prepared.data, latency_s=plan.min_s / 4, metric=metric_of(settings))
            return assemble(settings, runtime, device, prepared, measured, looked)

        try:
            measured = measure_inference(prepared.inference, device, plan, seed=seed, show=show, compiled=settings.compile)
        except NotCompiled as error:
            as_it_is = finish(dataclasses.replace(settings, compile=False), (error.eager, None))
            raise Uncompiled(f"{error}; the figures are of the model as it is", as_it_is) from error
        return finish(settings, measured)


def metric_of(settings: ProfileSettings, /) -> OwnMetric | None:
    """Return the metric that is asked for beside accuracy."""
    if settings.metric is None or settings.better is None:
        return None
    from profilers.inference.metrics import OwnMetric

    return OwnMetric(settings.metric, settings.better)


def assemble(
    settings: ProfileSettings,
    runtime: Runtime,
    device: ReservedDevice,
    prepared: Prepared,
    measured: tuple[Measurement, Compilation | None],
    looked: SideFigures,
    /,
) -> Profiled:
    """Assemble the profile of a measured model."""
    measurement, compilation = measured
    facts = metadata_of(settings, runtime, device, prepared, measurement, looked)
    raw = RawFigures(
        marks=measurement.marks,
        pass_images=prepared.inference.images if prepared.data is not None else None,
        correct=looked.correct,
        latencies_s=looked.latencies_s,
        loop_share=loop_share(measurement, prepared.inference, looked.loop_s),
        compilation=compilation,
    )
    trace = device.sampler.trace()
    found = build(facts, raw, trace, no_meter=device.no_meter)
    if settings.compile and found.break_even_images is None:
        reason = {"break_even_images": "the compiled model does not use less energy, or there is no meter"}
        facts = dataclasses.replace(facts, reasons=facts.reasons | reason)
        found = dataclasses.replace(found, facts=facts)
    record = {"facts": dataclasses.asdict(facts), "raw": raw.to_dict(), "no_meter": device.no_meter, "profile": found.to_dict()}
    return Profiled(found, trace, record)
