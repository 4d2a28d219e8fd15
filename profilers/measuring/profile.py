"""Measure one saved model on one device: settings → an InferenceProfile, its trace and the record that verifies it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profilers.energy.sampling.trace import PowerTrace, write_trace
from profilers.errors import ModelError
from profilers.inference.looking import SideFigures, look_closely
from profilers.inference.protocol import Inference
from profilers.machine.processor import load_of_others
from profilers.measuring.device import ReservedDevice, reserve
from profilers.measuring.measurement import Measurement, NotCompiled, measure_inference
from profilers.measuring.runtime import Prepared, Runtime, installed, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.meters import NoMeter
from profilers.results.building import Compilation, RawFigures, build
from profilers.results.inference_profile import InferenceProfile, Metadata
from profilers.results.units import si

if TYPE_CHECKING:
    from profilers.inference.metrics import OwnMetric

# Share of the needed processor time that others took: worth a remark, and too much for a figure to be ranked.
_NOTICED, _RUINED = 0.02, 0.2
_APART = 3.0  # median and mean time of a batch
_NOTICED_LOOP = 0.01


@dataclass(frozen=True)
class Profiled:
    """A profile, with the trace and the record that `write_trace` keeps."""

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

    If it cannot be compiled, the error, Uncompiled, carries what was measured before.
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
    """Return the requested metric other than accuracy."""
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


def metadata_of(
    settings: ProfileSettings, runtime: Runtime, device: ReservedDevice, prepared: Prepared, measurement: Measurement,
    looked: SideFigures, /,
) -> Metadata:  # fmt: skip
    """Gather the fields of the profile: those not given by keyword come from the first part that has a field of that name."""
    meter, place, data, counted = device.meter, device.place, prepared.data, prepared.parameters
    lost = _lost(measurement)
    name, scope, notes = (None, None, ()) if isinstance(meter, NoMeter) else (meter.name, meter.scope, meter.capabilities().notes)
    reasons = {
        "accuracy": looked.reasons.get("accuracy"),
        "inference_time": None if data is not None else "no evaluation set was given (--dataset)",
        "energy": device.no_meter,
        "parameters": counted.reason,
        **looked.reasons,
    }
    return Metadata.of(
        looked, measurement, place, counted, prepared, settings, settings.plan,
        model=settings.name,
        model_format=prepared.format,
        model_sha256=prepared.sha256,
        dataset=data.name if data is not None else None,
        normalise=settings.normalise if data is not None else None,
        runtime=runtime.name,
        file_bytes=_file_bytes(Path(settings.model)),
        compiled=settings.compile,
        device=place.code,
        device_name=place.name,
        meter=name,
        meter_scope=scope,
        parameters=counted.total,
        trainable_parameters=counted.trainable,
        parameter_bytes=counted.bytes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"python": platform.python_version(), **runtime.versions(), **installed("ecosel", "numpy", "nvidia-ml-py")},
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=(*prepared.notes, *prepared.inference.notes, *looked.notes, *_remarks(measurement, prepared, looked), *notes),
        processor_lost=lost,
        invalid=looked.invalid or _disturbed(lost) if place.code == "cpu" else looked.invalid,
    )  # fmt: skip


def _file_bytes(path: Path) -> int | None:
    """Return the size of a model's file, including ONNX data beside it; None if it is not a file."""
    if not path.is_file():
        return None
    outside = path.with_name(f"{path.name}.data")
    return path.stat().st_size + (outside.stat().st_size if outside.is_file() else 0)


def loop_share(measurement: Measurement, inference: Inference, loop_s: float) -> float:
    groups = measurement.marks.groups
    per_image_s = sum(group.duration_s for group in groups) / sum(group.images for group in groups)
    return min(1.0, loop_s / (per_image_s * inference.images / inference.batches))


def _lost(measurement: Measurement) -> float | None:
    """Return the share of the processor time needed by the groups that other processes took."""
    known = [(group.lost, group.duration_s) for group in measurement.marks.groups if group.lost is not None]
    return sum(lost * spent_s for lost, spent_s in known) / sum(spent_s for _, spent_s in known) if known else None


def _disturbed(lost: float | None) -> str | None:
    if lost is None or lost <= _RUINED:
        return None
    return f"other processes took {lost:.0%} of the processor time needed; measure again on a quiet machine"


def _remarks(measurement: Measurement, prepared: Prepared, looked: SideFigures) -> Iterator[str]:
    """Yield remarks that readers of time and energy should know."""
    inference, groups = prepared.inference, measurement.marks.groups
    images = sum(group.images for group in groups)
    if images < inference.images:
        yield f"time and energy come from {images} images, a random sample of the {inference.images} of a pass"
    lost = _lost(measurement)
    if lost is not None and lost > _NOTICED:
        yield f"the machine was busy: other processes took {lost:.1%} of the processor time needed ({load_of_others()})"
    if dropped := sum(group.lost is not None for group in measurement.marks.others):
        yield f"{dropped} of {dropped + len(groups)} groups were disturbed by other processes, and are not used"
    mean_s = sum(group.duration_s for group in groups) / images * inference.images / inference.batches
    median_s = float(np.median(looked.latencies_s)) if looked.latencies_s else mean_s
    if not 1 / _APART < mean_s / median_s < _APART:
        both = f"the median latency of a batch ({si(median_s, 's')}) and its mean time when measured ({si(mean_s, 's')})"
        yield f"{both} are far apart: the load was not steady"
    if (share := loop_share(measurement, inference, looked.loop_s)) > _NOTICED_LOOP:
        yield f"the loop around the model takes up to {share:.1%} of the time; the lower ends of the intervals allow for it"
