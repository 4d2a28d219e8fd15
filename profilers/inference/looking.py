"""Look at a model beside its time and energy: accuracy, FLOPs, latency, transfers, memory."""

from __future__ import annotations

from dataclasses import dataclass

from profilers.datasets import LabelledImages
from profilers.inference.protocol import Inference
from profilers.inference.scores import count_correct

_CHANGED_LATE = "the model changed some inputs in place, and was measured on what it had changed"


@dataclass(frozen=True)
class SideFigures:
    """What was found beside time and energy; a figure that is None has its reason in `reasons`."""

    latencies_s: tuple[float, ...]  # of single full batches
    loop_s: float  # that the loop around the model takes a batch, at most
    peak_memory_bytes: int | None
    peak_memory_of: str
    to_device_s: float | None  # means a batch, by CUDA events
    compute_s: float | None
    to_host_s: float | None
    correct: int | None  # images that are classified right
    flops: int | None  # per image, a multiply-add is two
    reasons: dict[str, str]
    notes: tuple[str, ...]
    invalid: str | None = None  # why time and energy are not to be ranked


def look_closely(inference: Inference, data: LabelledImages | None, /, *, latency_s: float) -> SideFigures:
    """Look at a model that was measured, for `latency_s` seconds at its latency; counting comes last, as it takes memory."""
    transfers = inference.transfers()
    latencies = tuple(inference.latencies(max_s=latency_s))
    memory, memory_of = inference.peak_memory()
    changed = inference.changes_inputs
    correct, no_accuracy, notes = _correct(inference, data)
    flops, no_flops = inference.flops()
    reasons = {
        "accuracy": no_accuracy,
        "flops": no_flops,
        "transfers": None if transfers else "nothing is copied on a CPU",
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
        correct=correct,
        flops=flops,
        reasons={name: reason for name, reason in reasons.items() if reason},
        notes=notes,
        invalid=_CHANGED_LATE if inference.changes_inputs and not changed else None,
    )


def _correct(inference: Inference, data: LabelledImages | None) -> tuple[int | None, str | None, tuple[str, ...]]:
    """Return the number of images that are classified right, or why it is not known, and notes."""
    if data is None:
        return None, "there are no labels (--dataset)", ()
    hits, broken = count_correct(inference.outputs(), data.labels, len(data.classes))
    notes = (f"the scores of {broken} images are not numbers (NaN); these images count as wrong",) if broken else ()
    return (None, hits, notes) if isinstance(hits, str) else (hits, None, notes)
