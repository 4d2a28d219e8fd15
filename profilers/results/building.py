"""Build an InferenceProfile from a measurement and its trace; the same input always gives the same bits."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from profilers.energy.intervals import Estimate, share
from profilers.energy.per_image import Windows, derive, time_per_image
from profilers.energy.sampling.trace import ENERGY_ANEW, PowerTrace
from profilers.errors import ProfilerError
from profilers.results.inference_profile import InferenceProfile, Metadata


@dataclass(frozen=True)
class Compilation:
    """The first call of a compiled model, and the earlier measurement of the model as it was."""

    marks: Windows  # one group: from the call that compiles to its result
    eager: Windows


@dataclass(frozen=True)
class RawFigures:
    """The numbers from which, together with the trace, every headline is derived."""

    marks: Windows
    pass_images: int | None  # number of images in the evaluation set; None without one
    correct: int | None
    latencies_s: tuple[float, ...]
    compilation: Compilation | None = None
    loop_share: float = 0.0  # upper bound of the share of time that went into calling the model

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], /) -> RawFigures:
        compilation = plain["compilation"]
        return cls(
            marks=Windows.from_dict(plain["marks"]),
            pass_images=plain["pass_images"],
            correct=plain["correct"],
            latencies_s=tuple(plain["latencies_s"]),
            compilation=Compilation(*(Windows.from_dict(compilation[name]) for name in ("marks", "eager")))
            if compilation
            else None,
            loop_share=plain.get("loop_share", 0.0),
        )


def build(facts: Metadata, raw: RawFigures, trace: PowerTrace, /, *, no_meter: str | None = None) -> InferenceProfile:
    """Derive every headline; the same facts, raw numbers and trace give the same bits."""
    groups = raw.marks.groups
    per_image = _allowing(time_per_image(groups), raw.loop_share)
    energy = derive(trace, raw.marks, no_meter=no_meter)
    if energy.per_inference is not None:
        energy = dataclasses.replace(energy, per_inference=_allowing(energy.per_inference, raw.loop_share))
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
        measured_s=math.fsum(group.duration_s for group in groups),
    )
    return _with_compilation(profile, raw.compilation, trace)


def _allowing(estimate: Estimate, share: float) -> Estimate:
    """Widen an interval downwards by the share that the loop around the model may have taken."""
    if estimate.low is None or not share:
        return estimate
    return Estimate(estimate.value, estimate.low - estimate.value * share, estimate.high)


def _inverse(estimate: Estimate) -> Estimate:
    if estimate.low is None or estimate.high is None or estimate.low <= 0:
        return Estimate(1 / estimate.value)
    return Estimate(1 / estimate.value, 1 / estimate.high, 1 / estimate.low)


def _with_compilation(profile: InferenceProfile, compilation: Compilation | None, trace: PowerTrace) -> InferenceProfile:
    if compilation is None:
        return profile
    time_s = compilation.marks.groups[0].duration_s
    spent, eager = derive(trace, compilation.marks).per_inference, derive(trace, compilation.eager).per_inference
    energy_j = spent.value * compilation.marks.groups[0].images if spent else None
    compiled = profile.energy.per_inference
    saved = eager.value - compiled.value if eager and compiled else None
    return dataclasses.replace(
        profile,
        compile_time_s=time_s,
        compile_energy_j=energy_j,
        break_even_images=energy_j / saved if energy_j is not None and saved is not None and saved > 0 else None,
    )


_ROUNDED = 1e-12
# Figures that an older version derived differently from the same readings.
_OF_ENERGY = {"energy", "warnings", "status", "compile_energy_j", "break_even_images"}


def verify(trace: PowerTrace, header: Mapping[str, Any], /) -> tuple[InferenceProfile, list[str]]:
    """Derive a recorded profile again; return it, and the names of the figures that differ in their first 12 digits."""
    try:
        facts = Metadata(**{**header["facts"], "notes": tuple(header["facts"]["notes"])})
        profile = build(facts, RawFigures.from_dict(header["raw"]), trace, no_meter=header["no_meter"])
        stored = dict(header["profile"])
        again = json.loads(json.dumps(profile.to_dict()))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ProfilerError(f"the trace's record is not complete: {type(error).__name__} {error}") from None
    names = sorted({*again, *stored} - (_OF_ENERGY if header.get("schema") == ENERGY_ANEW else set()))
    return profile, [name for name in names if _differ(again.get(name), stored.get(name))]


def _differ(one: Any, other: Any) -> bool:
    """Compare figures, also those of an interval; versions of Python and numpy round sums differently in the last digit."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() != other.keys() or any(_differ(each, other[name]) for name, each in one.items())
    if isinstance(one, float) and isinstance(other, float):
        return not (math.isclose(one, other, rel_tol=_ROUNDED) or (math.isnan(one) and math.isnan(other)))
    return bool(one != other)
