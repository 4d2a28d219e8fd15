"""Measure one saved model on one device: a request → an InferenceProfile, its trace and the record that verifies it."""

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

import numpy as np
import torch
from torch._inductor.utils import fresh_cache

from profilers.energy.per_image import Window, Windows
from profilers.energy.sampler import Sampler, Stopwatch
from profilers.energy.trace import PowerTrace, write_trace
from profilers.errors import ModelError, ProfilerError
from profilers.measuring.device import Device, reserve
from profilers.measuring.inference import Inference, Transfers, count_correct, peak_memory
from profilers.measuring.measurement import Measurement, measure, rest
from profilers.measuring.preparing import Prepared, prepare
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.meters import NoMeter
from profilers.meters.base import PowerMeter
from profilers.models.torch_errors import quiet
from profilers.results.inference_profile import Compilation, InferenceProfile, Measured, Metadata, build


@dataclass(frozen=True)
class Profiled:
    """A profile, and what `write_trace` needs to keep it."""

    profile: InferenceProfile
    trace: PowerTrace | None
    record: dict[str, Any]

    def write_trace(self, target: Path, /) -> None:
        write_trace(target, self.trace if self.trace is not None else PowerTrace.empty(), self.record)


@dataclass(frozen=True)
class SideFigures:
    """What was found beside time and energy; where a figure is None, its reason stands beside it."""

    no_accuracy: str | None
    broken: tuple[str, ...]
    flops: int | None
    no_flops: str | None
    transfers: Transfers | None
    memory_bytes: int | None
    memory_of: str


def profile(request: ProfileSettings, /, *, show: Show = lambda progress: None) -> Profiled:
    """Measure a model. Raises ProfilerError where it cannot be opened, run or measured, ValueError for wrong arguments."""
    with reserve(request.device, meter=request.meter, plan=request.plan, show=show) as table:
        place, meter, sampler = table.place, table.meter, table.sampler
        show(Progress("opening the model", 0.0, 0.0))
        opened = prepare(request, place.torch_name)
        inference = opened.inference
        correct, no_accuracy, broken = _correct(opened)
        flops, no_flops = _flops(opened)
        if inference.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(inference.device)
        warm = rest(sampler, request.plan, "idle power with the model", show)

        def measured() -> Measurement:
            rng = np.random.default_rng(request.seed)
            return measure(inference, sampler, request.plan, rng=rng, show=show, idle_cold=table.idle, idle_warm=warm)

        result, compilation = measured(), None
        if request.compile:
            show(Progress("compiling", 0.0, 0.0))
            compilation = Compilation(_compile(inference, sampler, result.marks), result.marks)
            result = measured()
        show(Progress("latency", 0.0, 0.0))
        transfers = inference.transfers()
        raw = Measured(
            marks=result.marks,
            pass_images=inference.images if opened.data is not None else None,
            correct=correct,
            latencies_s=tuple(inference.latencies(max_s=request.plan.min_s / 4)),
            compilation=compilation,
        )
        memory, memory_of = peak_memory(inference.device)
        trace = None if isinstance(sampler, Stopwatch) else sampler.trace()
        looks = SideFigures(no_accuracy, broken, flops, no_flops, transfers, memory, memory_of)
        facts = _facts(request, opened, looks, place=place, meter=meter, result=result)
    no_meter = meter.reason if isinstance(meter, NoMeter) else None
    found = build(facts, raw, trace, no_meter=no_meter)
    record = {"facts": dataclasses.asdict(facts), "raw": raw.to_dict(), "no_meter": no_meter, "profile": found.to_dict()}
    return Profiled(found, trace, record)


def _facts(
    request: ProfileSettings,
    opened: Prepared,
    looks: SideFigures,
    /,
    *,
    place: Device,
    meter: PowerMeter | NoMeter,
    result: Measurement,
) -> Metadata:
    name, scope, notes = (None, None, ()) if isinstance(meter, NoMeter) else (meter.name, meter.scope, meter.capabilities().notes)
    reasons = {
        "accuracy": looks.no_accuracy,
        "inference_time": None if opened.data is not None else "there is no evaluation set (--dataset)",
        "energy": meter.reason if isinstance(meter, NoMeter) else None,
        "parameters": opened.parameters.reason,
        "flops": looks.no_flops,
        "transfers": None if looks.transfers else "nothing is copied on a CPU",
        "peak_memory": None if looks.memory_bytes is not None else looks.memory_of,
        "break_even_images": "the compiled model does not use less energy, or there is no meter" if request.compile else None,
    }
    return Metadata(
        model=request.model,
        model_format=opened.saved.format,
        model_sha256=opened.saved.sha256,
        dataset=opened.data.name if opened.data is not None else None,
        normalise=request.normalise if opened.data is not None else None,
        inputs=opened.inputs,
        mode=request.mode,
        batch_size=request.batch_size,
        precision=request.precision,
        channels_last=request.channels_last,
        compiled=request.compile,
        device=place.torch_name,
        device_name=place.name,
        driver=place.driver,
        meter=name,
        meter_scope=scope,
        warm_up=result.warm_up,
        ended_by=result.ended_by,
        ci=request.plan.ci,
        parameters=opened.parameters.total,
        trainable_parameters=opened.parameters.trainable,
        buffers=opened.parameters.buffers,
        parameter_bytes=opened.parameters.bytes,
        flops=looks.flops,
        peak_memory_bytes=looks.memory_bytes,
        peak_memory_of=looks.memory_of,
        to_device_s=looks.transfers.to_device_s if looks.transfers else None,
        compute_s=looks.transfers.compute_s if looks.transfers else None,
        to_host_s=looks.transfers.to_host_s if looks.transfers else None,
        seed=request.seed,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=(*opened.notes, *looks.broken, *_sampled(result, opened.inference), *notes),
    )


def _correct(opened: Prepared) -> tuple[int | None, str | None, tuple[str, ...]]:
    """Return the number of images that are classified right, or why it is not known, and notes."""
    if opened.data is None:
        return None, "there are no labels (--dataset)", ()
    hits, broken = count_correct(opened.inference.outputs(), opened.data.labels, len(opened.data.classes))
    notes = (f"the scores of {broken} images are not numbers (NaN); these images count as wrong",) if broken else ()
    return (None, hits, notes) if isinstance(hits, str) else (hits, None, notes)


def _flops(opened: Prepared) -> tuple[int | None, str | None]:
    try:
        flops = opened.inference.flops()
    except ProfilerError as error:
        return None, f"the model runs, but not under PyTorch's counter: {error}"
    return flops, None if flops is not None else f"the operators of a {opened.saved.format} model are hidden from the counter"


def _sampled(result: Measurement, inference: Inference) -> Iterator[str]:
    images = sum(group.images for group in result.marks.groups)
    if images < inference.images:
        yield f"time and energy are of {images} images, a random sample of the {inference.images} of a pass"


def _compile(inference: Inference, sampler: Sampler | Stopwatch, eager: Windows) -> Windows:
    """Compile the model by its first calls, one for every size of batch, and mark the time that this took.

    No earlier run's compilation is used: neither of this process nor of the caches on disk.
    """
    torch._dynamo.reset()
    with quiet():
        inference.module = torch.compile(inference.module)
    if not isinstance(sampler, Stopwatch) and eager.counter:
        sampler.await_tick()
    sampler.read()
    start_s = sampler.now()
    try:
        with quiet(), fresh_cache():
            images = inference.run_each_size()
    except ModelError as error:
        raise ModelError(f"compiled, {error}") from error
    end_s = sampler.now()
    if not isinstance(sampler, Stopwatch):
        sampler.read()
        if eager.counter:
            sampler.await_tick()
        sampler.wait(2 * eager.interval_s)
    return dataclasses.replace(eager, groups=(Window(start_s, end_s, images),))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in ("ecosel", "torchvision", "numpy", "nvidia-ml-py"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    if torch.cuda.is_available():
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found
