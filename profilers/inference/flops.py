"""Count the floating-point operations of a model on one batch."""

from __future__ import annotations

from torch.utils.flop_counter import FlopCounterMode

from profilers.inference.running import Inference
from profilers.models.torch_errors import quiet


def count_flops(inference: Inference, /) -> int | None:
    """Return floating-point operations per image (a multiply-add is two), None where the format hides its operators."""
    batch = inference.to_device(inference.batches_of[0])
    with quiet(), inference.running(batch), FlopCounterMode(display=False) as counter:
        inference.eager(*batch.args, **batch.kwargs)
    total = int(counter.get_total_flops())
    return round(total / batch.images) if total else None
