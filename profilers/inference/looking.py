"""Find the figures of a model other than time and energy: accuracy, FLOPs, latency, transfers, memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profilers.inference.protocol import Inference, Labelled
from profilers.inference.scores import count_correct

if TYPE_CHECKING:
    from profilers.inference.metrics import OwnMetric

_CHANGED_LATE = "the model changed some inputs in place, and was measured on the changed inputs"


@dataclass(frozen=True)
class SideFigures:
    """The figures other than time and energy; `reasons` explains each that is None."""

    latencies_s: tuple[float, ...]  # of single full batches
    loop_s: float  # upper bound of the time per batch taken by the loop around the model
    peak_memory_bytes: int | None
    peak_memory_of: str
    to_device_s: float | None  # means per batch, by CUDA events
    compute_s: float | None
    to_host_s: float | None
    correct: int | None  # number of correctly classified images
    flops: int | None  # per image; a multiply-add counts as two
    reasons: dict[str, str]
    notes: tuple[str, ...]
    metric: str | None = None  # the user's code, and which numbers are better
    metric_value: float | None = None
    metric_better: str | None = None
    invalid: str | None = None  # why time and energy must not be ranked


def look_closely(
    inference: Inference, data: Labelled | None, /, *, latency_s: float, metric: OwnMetric | None = None
) -> SideFigures:
    """Examine a measured model, spending `latency_s` seconds on latency; counting comes last, as it takes memory."""
    transfers = inference.transfers()
    latencies = tuple(inference.latencies(max_s=latency_s))
    memory, memory_of = inference.peak_memory()
    changed = inference.changes_inputs
    scored = _scored(inference, data, metric)
    flops, no_flops = inference.flops()
    reasons = {
        "accuracy": scored.no_accuracy,
        "metric": scored.no_metric if metric is not None else None,
        "flops": no_flops,
        "transfers": None if transfers else "a CPU copies nothing",
        "peak_memory": None if memory is not None else memory_of,
    }
    return SideFigures(
        latencies_s=latencies,
        loop_s=inference.loop_s(),
        peak_memory_bytes=memory,
        peak_memory_of=memory_of,
        to_device_s=transfers.to_device_s if transfers else None,
        compute_s=transfers.compute_s if transfers else None,
        to_host_s=transfers.to_host_s if transfers else None,
        correct=scored.correct,
        flops=flops,
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=scored.notes,
        metric=metric.code if metric is not None else None,
        metric_value=scored.metric_value,
        metric_better=metric.better if metric is not None else None,
        invalid=_CHANGED_LATE if inference.changes_inputs and not changed else None,
    )


@dataclass(frozen=True)
class _Scored:
    correct: int | None = None
    no_accuracy: str | None = None
    notes: tuple[str, ...] = ()
    metric_value: float | None = None
    no_metric: str | None = None


def _scored(inference: Inference, data: Labelled | None, metric: OwnMetric | None) -> _Scored:
    """Run one pass and score it by top-1 accuracy, and by the requested metric."""
    if data is None:
        return _Scored(no_accuracy="no labels were given (--dataset)", no_metric="no labels were given (--dataset)")
    outputs: Iterable[tuple[object, int]] = inference.outputs()
    value = no_metric = None
    if metric is not None:
        from profilers.inference.metrics import kept, measure_metric

        outputs = [(kept(output), images) for output, images in outputs]
        value, no_metric = measure_metric(metric, [output for output, _ in outputs], data.labels)
    labels = data.labels
    if not data.classes:
        from profilers.inference.metrics import class_labels

        labels = class_labels(labels)
        if isinstance(labels, str):
            return _Scored(None, labels, (), value, no_metric)
    hits, broken = count_correct(outputs, labels, len(data.classes))
    notes = (f"the scores of {broken} images are NaN; these images count as wrong",) if broken else ()
    known, reason = (None, hits) if isinstance(hits, str) else (hits, None)
    return _Scored(known, reason, notes, value, no_metric)
