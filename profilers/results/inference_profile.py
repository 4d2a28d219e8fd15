"""Define the content of a profile: every figure, its column in an archive, and its line of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Energy
from profilers.results.units import si

# For NVIDIA boards against an external meter, after every possible correction: Yang et al. 2023, arXiv 2312.02741.
SENSOR_GAIN = (
    "the error of the board's sensor, which no repetition shows, adds to the interval: gain ± {gain:.1%} and "
    "± {offset:.3g} W (five boards against a meter: -6 to +5 %, and one 21 W too low at any load). Gain cancels between "
    "models on one board; so does the offset between models of similar power, and in energy above idle"
)


@dataclass(frozen=True)
class Metadata:
    """The facts known without the trace. `None` means not measured; `reasons` says why, by the name of the field."""

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
    flops: int | None  # per image; a multiply-add counts as two
    peak_memory_bytes: int | None
    peak_memory_of: str
    to_device_s: float | None  # means per batch, by CUDA events
    compute_s: float | None
    to_host_s: float | None
    seed: int
    created_at: str
    versions: dict[str, str]
    reasons: dict[str, str]
    notes: tuple[str, ...] = ()
    runtime: str | None = None  # torch, onnxruntime
    file_bytes: int | None = None  # including external data, if the format has it
    threads: int | None = None  # for a run on a processor
    providers: str | None = None  # ONNX Runtime's, in order
    invalid: str | None = None  # why time and energy must not be ranked
    metric: str | None = None  # the user's code, its number, and which numbers are better: larger, smaller
    metric_value: float | None = None
    metric_better: str | None = None
    processor_lost: float | None = None  # share of the processor time needed by the model that others got

    @classmethod
    def of(cls, *parts: object, **more: Any) -> Metadata:
        """Gather the fields by name: from the keyword arguments, else from the first part that has such a field."""
        found = {}
        for field in dataclasses.fields(cls):
            part = next((part for part in parts if hasattr(part, field.name)), None)
            if field.name in more or part is not None:
                found[field.name] = more[field.name] if field.name in more else getattr(part, field.name)
        return cls(**found)


@dataclass(frozen=True)
class InferenceProfile:
    """Accuracy, time, energy and size of one model on one device, in SI units, with 95 % intervals.

    `inference_time` is the seconds for one pass over the evaluation set, including host-to-device copies in mode `paper`
    (Young et al. 2019, III.A); `energy.per_inference` is joules per image; latencies are seconds per batch.
    """

    facts: Metadata
    accuracy: Estimate | None
    inference_time: Estimate | None
    throughput: Estimate  # images per second
    latency_s: dict[str, float]
    energy: Energy
    groups: int
    measured_s: float
    compile_time_s: float | None = None
    compile_energy_j: float | None = None
    break_even_images: float | None = None

    @property
    def status(self) -> str:
        return "invalid" if self.energy.invalid or self.facts.invalid else "ok"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return everything that a reader should know, the most serious first."""
        reasons = [reason for reason in (self.energy.invalid, self.facts.invalid) if reason]
        return (*(f"not valid for ranking: {reason}" for reason in reasons), *self.energy.warnings, *self.facts.notes)

    @property
    def remarks(self) -> str | None:
        return "; ".join((*self.warnings, *self.energy.reasons)) or None

    def to_dict(self) -> dict[str, Any]:
        plain = dataclasses.asdict(self)
        facts = plain.pop("facts")
        return {"status": self.status, **plain, **facts, "warnings": list(self.warnings)}


@dataclass(frozen=True)
class Line:
    """How a known figure is shown in text; `remark` is a text, or a function that derives one from the profile."""

    label: str
    unit: str  # "%" for a share, "#" for a count
    part: str = "size"  # part of the text: quality, energy, time, compilation, size
    remark: str | Callable[[InferenceProfile], str] = ""
    shown: Callable[[InferenceProfile], object] = lambda profile: True


@dataclass(frozen=True)
class Figure:
    """One figure: its column in an archive and the SQLite type, its path in a profile, and its line of text."""

    column: str | None
    type: str = "REAL"
    source: str | None = None  # a path into the profile; None if the figure is filled in when the row is appended
    line: Line | None = None
    bounds: bool = False  # whether it has columns for the interval
    setting: str | None = None  # the option that supplies it if the measurement failed

    def of(self, profile: InferenceProfile, /) -> Any:
        """Return the figure: a number, text or Estimate; None if it was not measured."""
        value: Any = profile
        for name in (self.source or "").split(".") if self.source else ():
            value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
        return value if self.source else None

    @property
    def columns(self) -> tuple[str, ...]:
        if self.column is None:
            return ()
        return (self.column, f"{self.column}_low", f"{self.column}_high") if self.bounds else (self.column,)


def _metric(profile: InferenceProfile) -> str:
    return f"{profile.facts.metric}: {profile.facts.metric_better} is better"


def _energy_source(profile: InferenceProfile) -> str:
    assumed = " (assumed, not measured)" if (profile.facts.meter or "").startswith("constant") else ""
    return f"{profile.energy.source}{assumed}"


def _disagreement(profile: InferenceProfile) -> str:
    return f"counter {profile.energy.disagreement:+.1%}"


def _naive_error(profile: InferenceProfile) -> str:
    energy = profile.energy
    return f"{energy.naive_j / energy.per_inference.value - 1:+.1%}" if energy.naive_j and energy.per_inference else ""


def _both(profile: InferenceProfile) -> bool:
    return profile.energy.counter is not None and profile.energy.power is not None


def _shares(profile: InferenceProfile) -> str:
    facts = profile.facts
    parts = [f"{facts.trainable_parameters:,} trainable"] if facts.trainable_parameters is not None else []
    if facts.trainable_parameters == facts.parameters:
        parts = ["all trainable"]
    parts += [f"{facts.buffers:,} in buffers"] if facts.buffers else []
    return ", ".join([*parts, *([si(facts.parameter_bytes, "B")] if facts.parameter_bytes is not None else [])])


_EVENTS = "per batch, by CUDA events"
# In the order of an archive's columns, the canonical ones first; within each part, this is also the order of the text.
# Columns of an archive never change: old files accept new rows, and new columns are added to them.
FIGURES = (
    Figure("candidate_id", "TEXT PRIMARY KEY"),
    Figure("status", "TEXT NOT NULL", "status"),
    Figure("dataset", "TEXT", "facts.dataset"),
    Figure("accuracy", "REAL", "accuracy", Line("accuracy", "%", "quality"), bounds=True),
    Figure(
        "inference_time_s", "REAL", "inference_time",
        Line("inference time", "s", "time", "one pass over the evaluation set"), bounds=True,
    ),
    Figure("parameters", "INTEGER", "facts.parameters", Line("parameters", "#", remark=_shares)),
    Figure(
        "energy_per_inference_j", "REAL", "energy.per_inference",
        Line("energy per inference", "J", "energy", _energy_source), bounds=True,
    ),
    Figure("energy_source", "TEXT", "energy.source"),
    Figure("batch_size", "INTEGER", "facts.batch_size", setting="batch_size"),
    Figure("device", "TEXT", "facts.device_name"),
    Figure("precision", "TEXT", "facts.precision", setting="precision"),
    Figure("mode", "TEXT", "facts.mode", setting="mode"),
    Figure("channels_last", "INTEGER", "facts.channels_last", setting="channels_last"),
    Figure("compiled", "INTEGER", "facts.compiled", setting="compile"),
    Figure("model", "TEXT", "facts.model", setting="name"),
    Figure("configuration", "TEXT"),
    Figure("throughput_per_s", "REAL", "throughput", Line("throughput", "/s", "time", "images")),
    Figure("latency_p50_s", "REAL", "latency_s.p50", Line("latency p50", "s", "time", "per batch")),
    Figure("latency_p90_s", "REAL", "latency_s.p90", Line("latency p90", "s", "time")),
    Figure("latency_p95_s", "REAL", "latency_s.p95", Line("latency p95", "s", "time")),
    Figure("latency_p99_s", "REAL", "latency_s.p99", Line("latency p99", "s", "time")),
    Figure(None, "REAL", "facts.to_device_s", Line("copy to device", "s", "time", _EVENTS)),
    Figure(None, "REAL", "facts.compute_s", Line("compute", "s", "time", _EVENTS)),
    Figure(None, "REAL", "facts.to_host_s", Line("copy to host", "s", "time", _EVENTS)),
    Figure("energy_counter_j", "REAL", "energy.counter", Line("  by counter", "J", "energy", shown=_both)),
    Figure("energy_power_j", "REAL", "energy.power", Line("  by integrated power", "J", "energy", _disagreement, _both)),
    Figure("energy_naive_j", "REAL", "energy.naive_j", Line("  naive 100 ms samples", "J", "energy", _naive_error)),
    Figure(
        None, "REAL", "energy.above_idle_j",
        Line("  above idle", "J", "energy", "without the idle power with the model"),
    ),
    Figure("mean_power_w", "REAL", "energy.mean_power_w", Line("mean power", "W", "energy")),
    Figure("highest_reading_w", "REAL", "energy.highest_reading_w", Line("highest reading", "W", "energy", "not the peak power")),
    Figure("idle_cold_w", "REAL", "energy.idle_cold_w", Line("idle power", "W", "energy")),
    Figure("idle_warm_w", "REAL", "energy.idle_warm_w", Line("idle power with the model", "W", "energy")),
    Figure("flops", "INTEGER", "facts.flops", Line("FLOPs", "", remark="per image; a multiply-add counts as two")),
    Figure("parameter_bytes", "INTEGER", "facts.parameter_bytes"),
    Figure(
        "peak_memory_bytes", "INTEGER", "facts.peak_memory_bytes",
        Line("peak memory", "B", remark=lambda profile: profile.facts.peak_memory_of),
    ),
    Figure("compile_time_s", "REAL", "compile_time_s", Line("compile time", "s", "compilation", "including the first batch")),
    Figure("compile_energy_j", "REAL", "compile_energy_j", Line("compile energy", "J", "compilation")),
    Figure(
        "break_even_images", "REAL", "break_even_images",
        Line("compiling pays off after", "#", "compilation", "images, by energy"),
    ),
    Figure("energy_gain_error", "REAL", "energy.gain_error"),
    Figure("energy_offset_error_w", "REAL", "energy.offset_error_w"),
    Figure("energy_meter", "TEXT", "facts.meter_scope"),
    Figure("file_bytes", "INTEGER", "facts.file_bytes", Line("file", "B")),
    # of a variant: its kind, its parent's row, and how it was verified and compared
    Figure("variant", "TEXT"),
    Figure("parent", "TEXT"),
    Figure("precision_executed", "TEXT"),
    Figure("max_logit_difference"),
    Figure("agreement"),
    Figure("quantised_layers", "TEXT"),
    Figure("changes", "TEXT"),
    Figure("finetune_epochs", "INTEGER"),
    Figure("finetune_time_s"),
    Figure("finetune_energy_j"),
    Figure("time_ratio", bounds=True),
    Figure("energy_ratio", bounds=True),
    # of a network of a search: its parts that do nothing, and its time as drawn divided by that without them
    Figure("redundant_slots", "TEXT"),
    Figure("redundant_time_ratio", bounds=True),
    Figure("runtime", "TEXT", "facts.runtime"),
    Figure("threads", "INTEGER", "facts.threads"),
    Figure("providers", "TEXT", "facts.providers"),
    Figure(
        "processor_lost", "REAL", "facts.processor_lost",
        Line("processor lost to others", "%", "time", "of the time that the model needed"),
    ),
    Figure("metric", "TEXT", "facts.metric"),
    Figure("metric_value", "REAL", "facts.metric_value", Line("metric", "=", "quality", _metric)),
    Figure("metric_better", "TEXT", "facts.metric_better"),
    Figure("trace", "TEXT"),
    Figure("remarks", "TEXT", "remarks"),
    Figure("created_at", "TEXT", "facts.created_at"),
)  # fmt: skip
