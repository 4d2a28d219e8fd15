"""Measure one saved model on one device: settings → an InferenceProfile, its trace and the record that verifies it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from profilers.energy.trace import PowerTrace, write_trace
from profilers.inference.looking import SideFigures, look_closely
from profilers.inference.protocol import Inference
from profilers.measuring.compiling import measure_inference
from profilers.measuring.device import ReservedDevice, reserve
from profilers.measuring.measurement import Measurement
from profilers.measuring.runtime import Prepared, Runtime, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.meters import NoMeter
from profilers.results.building import Compilation, Measured, build
from profilers.results.inference_profile import InferenceProfile, Metadata


@dataclass(frozen=True)
class Profiled:
    """A profile, and what `write_trace` needs to keep it."""

    profile: InferenceProfile
    trace: PowerTrace
    record: dict[str, Any]

    def write_trace(self, target: Path, /) -> None:
        write_trace(target, self.trace, self.record)


def profile(settings: ProfileSettings, /, *, show: Show = lambda progress: None) -> Profiled:
    """Measure a model. Raises ProfilerError where it cannot be opened, run or measured, ValueError for wrong arguments."""
    plan, seed = settings.plan, settings.seed
    runtime = runtime_of(settings)
    with reserve(runtime.find_device(settings.device), meter=settings.meter, plan=plan, show=show) as device:
        show(Progress("opening the model", 0.0, 0.0))
        prepared = runtime.prepare(settings, device.place)
        measured = measure_inference(prepared.inference, device, plan, seed=seed, show=show, compiled=settings.compile)
        show(Progress("looking closely", 0.0, 0.0))
        looked = look_closely(prepared.inference, prepared.data, latency_s=plan.min_s / 4)
        return _profiled(settings, runtime, device, prepared, measured, looked)


def _profiled(
    settings: ProfileSettings,
    runtime: Runtime,
    device: ReservedDevice,
    prepared: Prepared,
    measured: tuple[Measurement, Compilation | None],
    looked: SideFigures,
    /,
) -> Profiled:
    measurement, compilation = measured
    facts = _facts(settings, runtime, device, prepared, measurement, looked)
    raw = Measured(
        marks=measurement.marks,
        pass_images=prepared.inference.images if prepared.data is not None else None,
        correct=looked.correct,
        latencies_s=looked.latencies_s,
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


def _facts(
    settings: ProfileSettings,
    runtime: Runtime,
    device: ReservedDevice,
    prepared: Prepared,
    measurement: Measurement,
    looked: SideFigures,
    /,
) -> Metadata:
    meter, place, data = device.meter, device.place, prepared.data
    name, scope, notes = (None, None, ()) if isinstance(meter, NoMeter) else (meter.name, meter.scope, meter.capabilities().notes)
    reasons = {
        "accuracy": looked.reasons.get("accuracy"),
        "inference_time": None if data is not None else "there is no evaluation set (--dataset)",
        "energy": device.no_meter,
        "parameters": prepared.parameters.reason,
        **looked.reasons,
    }
    return Metadata.of(
        settings,
        looked,
        measurement,
        model=settings.name,
        model_format=prepared.format,
        model_sha256=prepared.sha256,
        dataset=data.name if data is not None else None,
        normalise=settings.normalise if data is not None else None,
        inputs=prepared.inputs,
        precision=prepared.precision,
        runtime=runtime.name,
        threads=prepared.threads,
        providers=prepared.providers,
        compiled=settings.compile,
        device=place.code,
        device_name=place.name,
        driver=place.driver,
        meter=name,
        meter_scope=scope,
        ci=settings.plan.ci,
        parameters=prepared.parameters.total,
        trainable_parameters=prepared.parameters.trainable,
        buffers=prepared.parameters.buffers,
        parameter_bytes=prepared.parameters.bytes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(runtime),
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=(*prepared.notes, *prepared.inference.notes, *looked.notes, *_sampled(measurement, prepared.inference), *notes),
    )


def _sampled(measurement: Measurement, inference: Inference) -> Iterator[str]:
    images = sum(group.images for group in measurement.marks.groups)
    if images < inference.images:
        yield f"time and energy are of {images} images, a random sample of the {inference.images} of a pass"


def _versions(runtime: Runtime) -> dict[str, str]:
    found = {"python": platform.python_version(), **runtime.versions()}
    for package in ("ecosel", "numpy", "nvidia-ml-py"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
