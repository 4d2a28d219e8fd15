"""Turn the measurements of a model and its variants into archive rows and text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from profilers.energy.intervals import Estimate
from profilers.results.archive import failed_row, row_of
from profilers.results.text import printable
from profilers.results.units import si
from profilers.variants.rewriting.onnx_files import has_vnni
from profilers.variants.session import Compression, Failure, Model

_WIDTH = 100


def named_rows(found: Compression, /) -> list[dict[str, Any]]:
    """Return the rows of the parent and its variants."""
    first = _row(found.parent) | _redundant(found)
    parent = first["candidate_id"]
    variants = [(_name(model), _row(model)) for model in found.variants]
    variants += [(failure.variant.name, _failed(failure, found.parent)) for failure in found.failures]
    return [first, *(row | {"candidate_id": f"{parent}-{name}", "variant": name, "parent": parent} for name, row in variants)]


def _name(model: Model) -> str:
    return model.made.variant.name if model.made else "parent"


def _redundant(found: Compression) -> dict[str, Any]:
    redundancy = found.redundancy
    if redundancy is None:
        return {}
    ratio = redundancy.time_ratio
    numbers = dict(zip(("", "_low", "_high"), (ratio.value, ratio.low, ratio.high), strict=True))
    return {"redundant_slots": ", ".join(redundancy.slots)} | {f"redundant_time_ratio{end}": n for end, n in numbers.items()}


def _failed(failure: Failure, parent: Model) -> dict[str, Any]:
    settings = parent.settings
    names = {"candidate": "", "configuration": settings.configuration}
    return failed_row(settings, **names, status=failure.status, reason=failure.reason) | {"dataset": parent.profile.facts.dataset}


def _row(model: Model) -> dict[str, Any]:
    settings, made = model.settings, model.made
    row = row_of(model.profile, candidate=settings.candidate, configuration=settings.configuration)
    row["precision_executed"] = model.execution.precision
    if made is None:
        return row
    row |= {
        "max_logit_difference": made.agreement.max_logit_difference,
        "agreement": made.agreement.agreement,
        "quantised_layers": "{} of {}".format(*made.quantised) if made.quantised else None,
        "changes": "; ".join(made.changes),
        "finetune_epochs": made.fine_tuning.epochs if made.fine_tuning else None,
        "finetune_time_s": made.fine_tuning.window.duration_s if made.fine_tuning else None,
        "finetune_energy_j": model.finetune_energy_j,
        "break_even_images": model.break_even_images,
        "remarks": "; ".join([*remarks(model), *filter(None, [row["remarks"]])]) or None,
    }
    for name, ratio in (("time_ratio", model.time_ratio), ("energy_ratio", model.energy_ratio)):
        if ratio is not None:
            row |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    return row


def remarks(model: Model, /) -> Iterator[str]:
    """Yield remarks that readers of a ratio should know."""
    time, made = model.time_ratio, model.made
    if time is not None and time.low is not None and time.high is not None and time.high >= 1:
        yield "slower than its parent" if time.low > 1 else "its time does not differ measurably from its parent's"
    if made is not None and made.variant.kind == "int8" and not has_vnni():
        yield "this processor has no instructions for dot products of 8-bit integers (VNNI)"
    if made is not None and made.fine_tuning is not None:
        yield _break_even(model)


def _break_even(model: Model) -> str:
    assert model.made is not None
    assert model.made.fine_tuning is not None
    tuning = model.made.fine_tuning
    took = f"fine-tuning took {tuning.epochs} epochs, {tuning.window.duration_s:.3g} s"
    if model.finetune_energy_j is None:
        return f"{took}; its energy was not measured, so neither was after how many inferences it pays off"
    took += f" and {si(model.finetune_energy_j, 'J')}"
    if model.break_even_images is None:
        return f"{took}, which never pays off: the variant does not use less energy"
    return f"{took}, which pays off after {model.break_even_images:,.0f} inferences"


def compression_text(found: Compression, rows: list[dict[str, Any]], /) -> str:
    """Return a table of the parent and its variants, the changes, and the failures."""
    facts = found.parent.profile.facts
    head = f"{facts.model} on {facts.device_name}, batch {facts.batch_size}; {facts.dataset}"
    lines: list[tuple[str, ...]] = [("", "time", "energy", "accuracy", "same class", "parameters", "file", "runs as")]
    lines += [_line(model, row) for model, row in zip((found.parent, *found.variants), rows, strict=False)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    ends = [f"Time and energy are shares of the parent's, with 95 % intervals: {facts.ended_by}."]
    for model in found.variants:
        assert model.made is not None
        ends.append(f"{model.made.variant.name}: {'; '.join((*model.made.changes, *remarks(model)))}.")
    if found.redundancy is not None:
        slots = ", ".join(found.redundancy.slots)
        ends.append(
            f"These slots have no effect: {slots}. As drawn, it takes {_share(found.redundancy.time_ratio)} times as long."
        )
    ends += [f"{failure.variant.name} failed: {failure.reason}." for failure in found.failures]
    if found.parent.profile.energy.per_inference is None:
        ends.append(f"Energy was not measured: {facts.reasons.get('energy', 'the meter gave no reading')}.")
    wrapped = [textwrap.fill(printable(end), _WIDTH, subsequent_indent="  ") for end in ends]
    return "\n".join([printable(head), "", *map(printable, body), "", *wrapped]) + "\n"


def _line(model: Model, row: dict[str, Any]) -> tuple[str, ...]:
    made, profile = model.made, model.profile
    return (
        _name(model),
        _share(model.time_ratio) if made else "1",
        ("1" if profile.energy.per_inference else "-") if made is None else _share(model.energy_ratio),
        _accuracy(profile.accuracy),
        f"{made.agreement.agreement:.1%}" if made else "",
        f"{row['parameters']:,}" if row["parameters"] is not None else "-",
        si(row["file_bytes"], "B") if row["file_bytes"] is not None else "-",
        f"{model.execution.precision} ({row['runtime']}, {row['threads']} threads)"
        + (f", int8 in {row['quantised_layers']} layers" if row["quantised_layers"] else ""),
    )


def _share(ratio: Estimate | None) -> str:
    if ratio is None:
        return "-"
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.3g}"
    return f"{ratio.value:.3g} ({ratio.low:.3g} to {ratio.high:.3g})"


def _accuracy(found: Estimate | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "-"
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
