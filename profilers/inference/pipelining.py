"""Copy the next batch to a GPU while it works on the current one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from profilers.inference.batches import Batch


class _Buffer:
    """One of two places on the device to which batches are copied in turn; fixed, as a host that runs ahead would fill it."""

    def __init__(self) -> None:
        # by shapes and types: the last batch may be smaller
        self.places: dict[tuple[tuple[torch.Size, torch.dtype], ...], list[torch.Tensor]] = {}
        self.filled, self.free = torch.cuda.Event(), torch.cuda.Event()


class Pipeline:
    """Two buffers on a GPU, and the stream that fills them from pinned memory; the GPU is the current device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers = (_Buffer(), _Buffer())
        self._copies = torch.cuda.Stream(device)

    def feed(self, batches: Sequence[Batch], /) -> Iterator[Batch]:
        """Yield each batch on the device; its buffer is free again once the next batch is asked for."""
        compute = torch.cuda.current_stream(self._device)
        coming = self._prefetch(batches[0], self._buffers[0])
        for index, _ in enumerate(batches):
            batch, buffer = coming, self._buffers[index % 2]
            if index + 1 < len(batches):
                coming = self._prefetch(batches[index + 1], self._buffers[(index + 1) % 2])
            compute.wait_event(buffer.filled)
            yield batch
            buffer.free.record(compute)

    def _prefetch(self, batch: Batch, buffer: _Buffer) -> Batch:
        """Copy a batch as soon as the computation on the buffer's previous content has ended; the host waits for neither."""
        kind = tuple((tensor.shape, tensor.dtype) for tensor in batch.tensors)
        if kind not in buffer.places:
            buffer.places[kind] = [torch.empty_like(tensor, device=self._device) for tensor in batch.tensors]
            torch.cuda.synchronize(self._device)  # another stream may have used the memory
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(buffer.free)
            for place, tensor in zip(buffer.places[kind], batch.tensors, strict=True):
                place.copy_(tensor, non_blocking=True)
            buffer.filled.record(self._copies)
        places = iter(buffer.places[kind])
        return batch.map(lambda tensor: next(places))
