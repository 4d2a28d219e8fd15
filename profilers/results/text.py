"""Show a profile as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from profilers.energy.intervals import Estimate
from profilers.results.inference_profile import SENSOR_GAIN, InferenceProfile

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_WIDTH = 80

Line = tuple[str, str, str, str]  # name, value, interval, remark


def profile_text(profile: InferenceProfile, /) -> str:
    """Return the lines of a profile, each with its unit and where known its 95 % interval."""
    lines = list(_lines(profile))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    body = [
        f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {interval:<{widths[2]}}  {remark}".rstrip()
        for name, value, interval, remark in lines
    ]
    facts = profile.facts
    ends = [f"Warm-up: {facts.warm_up}. Measured {profile.groups} groups, {profile.measured_s:.1f} s: {facts.ended_by}."]
    ends += [f"Not measured: {reason}." for reason in _missing(profile)]
    ends += [f"Note: {warning}." for warning in profile.warnings]
    if facts.meter == "nvml" and profile.energy.per_inference:
        ends.append(f"Energy is the board's ({facts.meter_scope}); {SENSOR_GAIN}.")
    wrapped = [textwrap.fill(_printable(end), _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for end in ends]
    return "\n".join([*(_printable(line) for line in (*_head(profile), *body)), "", *wrapped]) + "\n"


def _head(profile: InferenceProfile) -> Iterator[str]:
    facts = profile.facts
    yield f"{facts.model} ({facts.model_format}) on {facts.device_name}"
    how = [facts.precision, f"batch {facts.batch_size}", f"mode {facts.mode}"]
    how += ["channels last"] * facts.channels_last + ["compiled"] * facts.compiled
    yield f"{', '.join(how)}; {facts.dataset or 'random inputs'} ({facts.inputs})"
    yield ""


def _lines(profile: InferenceProfile) -> Iterator[Line]:
    facts, energy = profile.facts, profile.energy
    if profile.accuracy:
        yield _line("accuracy", profile.accuracy, "%")
    if energy.per_inference:
        assumed = " (assumed, not measured)" if facts.meter and facts.meter.startswith("constant") else ""
        yield _line("energy per inference", energy.per_inference, "J", f"{energy.source}{assumed}")
        if energy.counter and energy.power:
            yield _line("  by counter", energy.counter, "J")
            yield _line("  by integrated power", energy.power, "J", f"counter {energy.disagreement:+.1%}")
        if energy.naive_j is not None:
            yield (
                "  naive 100 ms samples",
                _si(energy.naive_j, "J"),
                "",
                f"{energy.naive_j / energy.per_inference.value - 1:+.1%}",
            )
        if energy.above_idle_j is not None:
            yield "  above idle", _si(energy.above_idle_j, "J"), "", "the idle power with the model taken off"
        powers = (("mean power", energy.mean_power_w), ("peak power", energy.peak_power_w))
        idles = (("idle power", energy.idle_cold_w), ("idle power with the model", energy.idle_warm_w))
        for name, watts in (*powers, *idles):
            if watts is not None:
                yield name, _si(watts, "W"), "", ""
    if profile.inference_time:
        yield _line("inference time", profile.inference_time, "s", "one pass over the evaluation set")
    yield _line("throughput", profile.throughput, "/s", "images")
    for name, seconds in profile.latency_s.items():
        yield f"latency {name}", _si(seconds, "s"), "", "a batch" if name == "p50" else ""
    steps = (("copy to device", facts.to_device_s), ("compute", facts.compute_s), ("copy to host", facts.to_host_s))
    for name, duration_s in steps:
        if duration_s is not None:
            yield name, _si(duration_s, "s"), "", "a batch, by CUDA events"
    if profile.compile_time_s is not None:
        yield "compile time", _si(profile.compile_time_s, "s"), "", "with the first batch"
    if profile.compile_energy_j is not None:
        yield "compile energy", _si(profile.compile_energy_j, "J"), "", ""
    if profile.break_even_images is not None:
        yield "compiling pays off after", f"{profile.break_even_images:,.0f}", "", "images, by energy"
    yield from _sizes(profile)


def _sizes(profile: InferenceProfile) -> Iterator[Line]:
    facts = profile.facts
    if facts.parameters is not None:
        trainable = (
            "all trainable" if facts.trainable_parameters == facts.parameters else f"{facts.trainable_parameters:,} trainable"
        )
        buffers = f", {facts.buffers:,} in buffers" if facts.buffers else ""
        size = f", {_si(facts.parameter_bytes, 'B')}" if facts.parameter_bytes is not None else ""
        yield "parameters", f"{facts.parameters:,}", "", f"{trainable}{buffers}{size}"
    if facts.flops is not None:
        yield "FLOPs", _si(facts.flops, ""), "", "an image; a multiply-add is two"
    if facts.peak_memory_bytes is not None:
        yield "peak memory", _si(facts.peak_memory_bytes, "B"), "", facts.peak_memory_of


def _missing(profile: InferenceProfile) -> Iterator[str]:
    names = {"inference_time": "inference time", "peak_memory": "peak memory", "break_even_images": "where compiling pays off"}
    for name, reason in profile.facts.reasons.items():
        yield f"{names.get(name, name)}: {reason}"
    if profile.facts.meter:
        yield from profile.energy.reasons


def _line(name: str, estimate: Estimate, unit: str, remark: str = "") -> Line:
    scale, prefix = (100.0, "") if unit == "%" else _prefix(estimate.value)
    value = f"{estimate.value * scale:.4g} {prefix}{unit}"
    if estimate.low is None or estimate.high is None:
        return name, value, "", remark
    low, high = (bound * scale for bound in (estimate.low, estimate.high))
    if unit == "%":
        return name, value, f"{low:.4g} to {high:.4g}", remark
    return name, value, f"± {(high - low) / 2 / abs(estimate.value * scale):.2%}", remark


def _si(value: float, unit: str) -> str:
    scale, prefix = _prefix(value)
    return f"{value * scale:.4g} {prefix}{unit}".rstrip()


def _prefix(value: float) -> tuple[float, str]:
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return 1 / size, prefix
    return 1.0, ""


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
