"""What a profile says: facts and raw numbers of a measurement, with its trace → an InferenceProfile, the same each time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from profilers.energy.intervals import Estimate, share
from profilers.energy.per_image import Energy, Windows, derive, time_per_image
from profilers.energy.trace import PowerTrace
from profilers.errors import ProfilerError

# Of NVIDIA's boards against an external meter, after every correction that can be made: Yang et al. 2023, arXiv 2312.02741.
SENSOR_GAIN = "the board's own sensor is off by up to 5 %, the same for all models on this board; that is not in the interval"


@dataclass(frozen=True)
class Metadata:
    """What is known without the trace. `None` was not measured; `reasons` says why, by the name of the field."""

    model: str
    model_format: str
    model_sha256: str | None
    dataset: str | None
    normalise: str | None
    inputs: str
    mode: str
    batch_size: int
    precision: str
    channels_last: bool
    compiled: bool
    device: str
    device_name: str
    driver: str | None
    meter: str | None
    meter_scope: str | None
    warm_up: str
    ended_by: str
    ci: float
    parameters: int | None
    trainable_parameters: int | None
    buffers: int | None
    parameter_bytes: int | None
    flops: int | None  # per image, a multiply-add is two
    peak_memory_bytes: int | None
    peak_memory_of: str
    to_device_s: float | None  # means a batch, by CUDA events
    compute_s: float | None
    to_host_s: float | None
    seed: int
    created_at: str
    versions: dict[str, str]
    reasons: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compilation:
    """The first call of a compiled model, and the measurement of the same model before."""

    marks: Windows  # one group: from the call that compiles to its result
    eager: Windows


@dataclass(frozen=True)
class Measured:
    """The numbers from which, with the trace, every headline is derived."""

    marks: Windows
    pass_images: int | None  # in the evaluation set; None without one
    correct: int | None
    latencies_s: tuple[float, ...]
    compilation: Compilation | None = None

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], /) -> Measured:
        compilation = plain["compilation"]
        return cls(
            marks=Windows.from_dict(plain["marks"]),
            pass_images=plain["pass_images"],
            correct=plain["correct"],
            latencies_s=tuple(plain["latencies_s"]),
            compilation=Compilation(*(Windows.from_dict(compilation[name]) for name in ("marks", "eager")))
            if compilation
            else None,
        )


@dataclass(frozen=True)
class InferenceProfile:
    """Accuracy, time, energy and size of one model on one device, in SI units, with 95 % intervals.

    `inference_time` is seconds for one pass over the evaluation set, host-to-device copy included in mode `paper`
    (Young et al. 2019, III.A); `energy.per_inference` is joules per image; latencies are seconds a batch.
    """

    facts: Metadata
    accuracy: Estimate | None
    inference_time: Estimate | None
    throughput: Estimate  # images a second
    latency_s: dict[str, float]
    energy: Energy
    groups: int
    measured_s: float
    compile_time_s: float | None = None
    compile_energy_j: float | None = None
    break_even_images: float | None = None

    @property
    def status(self) -> str:
        return "invalid" if self.energy.invalid else "ok"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return all that a reader should know, the gravest first."""
        invalid = (f"not valid for ranking: {self.energy.invalid}",) if self.energy.invalid else ()
        return (*invalid, *self.energy.warnings, *self.facts.notes)

    def to_dict(self) -> dict[str, Any]:
        plain = dataclasses.asdict(self)
        facts = plain.pop("facts")
        return {"status": self.status, **plain, **facts, "warnings": list(self.warnings)}


def build(facts: Metadata, raw: Measured, trace: PowerTrace | None, /, *, no_meter: str | None = None) -> InferenceProfile:
    """Derive every headline. The same facts, raw numbers and trace give the same bits."""
    groups = raw.marks.groups
    per_image = time_per_image(groups)
    energy = derive(trace, raw.marks) if trace is not None else Energy(reasons=(no_meter or "there is no meter",))
    percentiles = (
        {f"p{point}": float(np.percentile(raw.latencies_s, point)) for point in (50, 90, 95, 99)} if raw.latencies_s else {}
    )
    profile = InferenceProfile(
        facts=facts,
        accuracy=share(raw.correct, raw.pass_images) if raw.correct is not None and raw.pass_images else None,
        inference_time=per_image.scaled(raw.pass_images) if raw.pass_images else None,
        throughput=_inverse(per_image),
        latency_s=percentiles,
        energy=energy,
        groups=len(groups),
        measured_s=sum(group.duration_s for group in groups),
    )
    return _with_compilation(profile, raw.compilation, trace)


def _inverse(estimate: Estimate) -> Estimate:
    if estimate.low is None or estimate.high is None or estimate.low <= 0:
        return Estimate(1 / estimate.value)
    return Estimate(1 / estimate.value, 1 / estimate.high, 1 / estimate.low)


def _with_compilation(profile: InferenceProfile, compilation: Compilation | None, trace: PowerTrace | None) -> InferenceProfile:
    if compilation is None:
        return profile
    time_s = compilation.marks.groups[0].duration_s
    energy_j = saved = None
    if trace is not None:
        spent, eager = derive(trace, compilation.marks).per_inference, derive(trace, compilation.eager).per_inference
        energy_j = spent.value * compilation.marks.groups[0].images if spent else None
        if eager and profile.energy.per_inference:
            saved = eager.value - profile.energy.per_inference.value
    pays = energy_j is not None and saved is not None and saved > 0
    return dataclasses.replace(
        profile,
        compile_time_s=time_s,
        compile_energy_j=energy_j,
        break_even_images=energy_j / saved if pays and energy_j is not None and saved else None,
    )


def verify(trace: PowerTrace, header: Mapping[str, Any], /) -> tuple[InferenceProfile, list[str]]:
    """Derive a recorded profile again; return it and the names of the figures that came out otherwise, to the bit."""
    try:
        facts = Metadata(**{**header["facts"], "notes": tuple(header["facts"]["notes"])})
        profile = build(facts, Measured.from_dict(header["raw"]), trace if len(trace) else None, no_meter=header["no_meter"])
        stored = dict(header["profile"])
        again = json.loads(json.dumps(profile.to_dict()))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ProfilerError(f"the trace's record is not complete: {type(error).__name__} {error}") from None
    names = sorted({*again, *stored})
    return profile, [name for name in names if again.get(name) != stored.get(name)]
