"""Write a profile as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from profilers.energy.intervals import Estimate
from profilers.results.inference_profile import FIGURES, SENSOR_GAIN, InferenceProfile
from profilers.results.units import digits, prefixed, si

_PARTS = ("quality", "energy", "time", "compilation", "size")
_WIDTH = 80


def profile_text(profile: InferenceProfile, /) -> str:
    """Return the lines of a profile, each with its unit and, if known, its 95 % interval."""
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
        gain, offset_w = profile.energy.gain_error, profile.energy.offset_error_w
        words = (
            SENSOR_GAIN.format(gain=gain, offset=offset_w)
            if gain is not None and offset_w is not None
            else "its error is unknown"
        )
        ends.append(f"Energy is the board's ({facts.meter_scope}); {words}.")
    wrapped = [textwrap.fill(printable(end), _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for end in ends]
    return "\n".join([*(printable(line) for line in (*_head(profile), *body)), "", *wrapped]) + "\n"


def _head(profile: InferenceProfile) -> Iterator[str]:
    facts = profile.facts
    yield f"{facts.model} ({facts.model_format}) on {facts.device_name}"
    how = [facts.precision, f"batch {facts.batch_size}", f"mode {facts.mode}"]
    how += (
        [f"{facts.runtime}"] * (facts.runtime not in (None, "torch"))
        + ["channels last"] * facts.channels_last
        + ["compiled"] * facts.compiled
    )
    yield f"{', '.join(how)}; {facts.dataset or 'random inputs'} ({facts.inputs})"
    yield ""


def _lines(profile: InferenceProfile) -> Iterator[tuple[str, str, str, str]]:
    for part in _PARTS:
        for figure in FIGURES:
            line, value = figure.line, figure.of(profile)
            if line is None or line.part != part or value is None or not line.shown(profile):
                continue
            if part == "energy" and profile.energy.per_inference is None:
                continue
            remark = line.remark if isinstance(line.remark, str) else line.remark(profile)
            yield line.label, *_shown(value, line.unit), remark


def _missing(profile: InferenceProfile) -> Iterator[str]:
    names = {"inference_time": "inference time", "peak_memory": "peak memory", "break_even_images": "break-even of compiling"}
    for name, reason in profile.facts.reasons.items():
        yield f"{names.get(name, name)}: {reason}"
    if profile.facts.meter:
        yield from profile.energy.reasons


def _shown(value: float | Estimate, unit: str) -> tuple[str, str]:
    """Return a figure with its unit and its interval."""
    if unit == "#":
        return f"{value:,.0f}", ""
    if not isinstance(value, Estimate):
        return (f"{value:.1%}" if unit == "%" else si(value, unit)), ""
    scale, prefix = (100.0, "") if unit == "%" else prefixed(value.value, unit)
    shown = f"{digits(value.value * scale)} {prefix}{unit}"
    if value.low is None or value.high is None:
        return shown, ""
    low, high = (bound * scale for bound in (value.low, value.high))
    return shown, f"{low:.4g} to {high:.4g}" if unit == "%" else f"± {(high - low) / 2 / abs(value.value * scale):.2%}"


def printable(text: str, /) -> str:
    """Replace characters with which a stranger's name could control the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
