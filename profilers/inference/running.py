"""Run a model over its batches on a device, in one of three modes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise

import numpy as np
import torch

from profilers.errors import ModelError, ProfilerError
from profilers.inference.batches import Batch
from profilers.inference.flops.counting import count_flops
from profilers.inference.pipelining import Pipeline
from profilers.inference.protocol import Mode, Precision, RandomOrder, Transfers, process_peak_memory, time_singly
from profilers.inference.scores import tensors_of
from profilers.models.torch_errors import in_one_line, quiet

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_EVENT_BATCHES = 50
_LOOPS = 50
_CHANGES_INPUTS = "the model changes its inputs in place: each pass got fresh copies, made outside the measurement"


class TorchInference:
    """A model and the batches of one pass, on a device.

    `paper`: batches are in pageable host memory and are copied within the measurement, one after the other.
    `device`: batches are resident on the device. `pipelined`: in pinned host memory; the next copy overlaps the computation.
    On a CPU there is nothing to copy: the first two modes are the same, and the third does not exist.
    A model that changes its inputs in place gets fresh ones in every pass.
    Batches run in random order, so that a measurement that ends within a pass has seen a fair sample of it.
    Raises OutOfMemory, or ModelError if the model does not accept the batches.
    """

    def __init__(
        self, module: Callable[..., object], batches: Sequence[Batch], /, *, device: torch.device, mode: Mode, seed: int = 0
    ) -> None:
        if mode == "pipelined" and device.type != "cuda":
            raise ValueError(f"mode 'pipelined' overlaps copies to a GPU, and the device is {device}; use 'paper' or 'device'")
        self.module = self.eager = module
        self.device = device
        self.changes_inputs = False
        self.needs_gradients = False
        self._mode = mode
        self._fresh: list[Batch] = []
        self._order = RandomOrder(len(batches), seed)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        with self.running(batches[0]):
            if mode == "device":
                batches = [self.to_device(batch) for batch in batches]
            elif mode == "pipelined":
                batches = [batch.map(torch.Tensor.pin_memory) for batch in batches]
                self._pipeline = Pipeline(device)
        self.batches_of = list(batches)

    @property
    def batches(self) -> int:
        return len(self.batches_of)

    @property
    def images(self) -> int:
        """Return the number of images in one pass."""
        return sum(batch.images for batch in self.batches_of)

    def try_out(self) -> None:
        """Run one batch of every size for the first time, and find out whether the model needs gradients or fresh inputs."""
        for place in {batch.images: place for place, batch in enumerate(self.batches_of)}.values():
            kept = self.batches_of[place].copy()
            try:
                self._run([self.batches_of[place]])
            except ModelError as error:
                if not re.search(r"grad|inference tensor", str(error), re.IGNORECASE):
                    raise
                self.batches_of[place], self.needs_gradients = kept.copy(), True
                try:
                    self._run([self.batches_of[place]])
                except ModelError:
                    raise error from None
            self._restore(place, kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return remarks on the needs found by `try_out`."""
        gradients = ("the model computes gradients when it runs, so they were enabled",) if self.needs_gradients else ()
        return (*gradients, _CHANGES_INPUTS) if self.changes_inputs else gradients

    def _restore(self, place: int, kept: Batch) -> None:
        if not self.batches_of[place].same(kept):
            self.changes_inputs = True
            if self.batches_of[place].like(kept):  # in place, as several batches may share memory
                for tensor, before in zip(self.batches_of[place].tensors, kept.tensors, strict=True):
                    tensor.detach().copy_(before)
            else:
                self.batches_of[place] = kept

    def ready(self, batches: int, /) -> int:
        """Prepare fresh inputs for the next run of a model that changes them; return how many batches the memory allows."""
        if not self.changes_inputs:
            return batches
        following = [self.batches_of[place] for place in self._order.following(batches)]
        most = max(1, _spare_bytes(self.device) // max(batch.bytes for batch in following))
        self._fresh = [batch.copy() for batch in following[:most]]
        self._synchronise()
        return len(self._fresh)

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return the number of images in them."""
        chosen = [self.batches_of[place] for place in self._order.take(batches)]
        if self.changes_inputs:
            chosen = self._fresh if len(self._fresh) == batches else [batch.copy() for batch in chosen]
        images = self._run(chosen)
        self._fresh = []
        return images

    def run_each_size(self) -> int:
        """Run one batch of every size, so that device and compiler set up each size; return the number of images."""
        return self._run([self.fresh(batch) for batch in {batch.images: batch for batch in self.batches_of}.values()])

    def fresh(self, batch: Batch, /) -> Batch:
        """Return a batch that the model may change."""
        return batch.copy() if self.changes_inputs else batch

    def _run(self, chosen: Sequence[Batch]) -> int:
        with self.running(chosen[0]):
            for batch in self._resident(chosen):
                self.module(*batch.args, **batch.kwargs)
            self._synchronise()
        return sum(batch.images for batch in chosen)

    def outputs(self) -> Iterator[tuple[object, int]]:
        """Yield the output of each batch of one pass, and the number of images in it, in the order of the data; not compiled."""
        for place, batch in enumerate(self.batches_of):
            kept = batch.copy()
            with self.running(batch):
                moved = self.to_device(batch)
                output = self.eager(*moved.args, **moved.kwargs)
            self._restore(place, kept)
            yield output, batch.images

    def latencies(self, *, max_s: float) -> list[float]:
        """Return the seconds from the call to the result on the device for single full batches, each waited for."""
        full = max(batch.images for batch in self.batches_of)
        chosen = [batch for batch in self.batches_of if batch.images == full]

        def prepare(place: int) -> Batch:
            return self.fresh(chosen[place % len(chosen)])

        def run(batch: Batch) -> None:
            batch = self.to_device(batch)
            self.module(*batch.args, **batch.kwargs)
            self._synchronise()

        with self.running(chosen[0]):
            return time_singly(run, prepare, max_s=max_s)

    def loop_s(self) -> float:
        """Time the loop around a model that does nothing; on a GPU, the loop overlaps the device's computation."""
        if self.device.type != "cpu":
            return 0.0
        module, batch = self.module, self.batches_of[0]
        self.module = lambda *args, **kwargs: None
        try:
            seconds = []
            for _ in range(_LOOPS):
                start_s = time.perf_counter()
                self._run([batch] * _LOOPS)
                seconds.append((time.perf_counter() - start_s) / _LOOPS)
        finally:
            self.module = module
        return float(np.median(seconds))

    def transfers(self) -> Transfers | None:
        """Return how the time of a batch from pageable host memory is divided; None on a CPU, which copies nothing."""
        if self.device.type != "cuda":
            return None
        spans: list[tuple[float, float, float]] = []
        with self.running(self.batches_of[0]):
            for batch in (batch.map(lambda tensor: tensor.to("cpu", copy=True)) for batch in self.batches_of[:_EVENT_BATCHES]):
                marks = [torch.cuda.Event(enable_timing=True) for _ in range(4)]
                marks[0].record()
                moved = batch.map(lambda tensor: tensor.to(self.device))
                marks[1].record()
                output = self.module(*moved.args, **moved.kwargs)
                marks[2].record()
                for tensor in tensors_of(output):
                    tensor.cpu()
                marks[3].record()
                torch.cuda.synchronize(self.device)
                # elapsed_time is milliseconds from the first to the second
                spans.append(tuple(before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)))
        return Transfers(*(float(np.mean(column)) for column in zip(*spans, strict=True)))

    def flops(self) -> tuple[int | None, str | None]:
        try:
            return count_flops(self)
        except ProfilerError as error:
            return None, f"the model runs, but not under PyTorch's counter: {error}"

    def peak_memory(self) -> tuple[int | None, str]:
        """Return the peak number of bytes in use since the model was made."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device), "tensors on the GPU"
        return process_peak_memory("PyTorch")

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Replace the model by torch.compile's; its first calls in the block compile it, without caches of earlier runs."""
        # importing these takes 1.5 s, which a model that is not compiled need not wait for
        import torch._dynamo
        from torch._inductor.utils import fresh_cache

        torch._dynamo.reset()
        eager = self.module
        with quiet(), in_one_line("torch.compile"):
            self.module = torch.compile(eager)
        with quiet(), fresh_cache():
            try:
                yield
            except ModelError:
                self.module = eager
                raise

    def to_device(self, batch: Batch) -> Batch:
        return batch.map(lambda tensor: tensor.to(self.device))

    def _resident(self, chosen: Sequence[Batch]) -> Iterator[Batch]:
        if self.device.type == "cpu" or self._mode == "device":
            yield from chosen
            return
        if self._mode != "pipelined":
            yield from map(self.to_device, chosen)
            return
        yield from self._pipeline.feed(chosen)

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def running(self, batch: Batch) -> Iterator[None]:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in batch.tensors)
        # events and streams belong to the current device, which may not be the model's
        on_device = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with in_one_line(f"the model on a batch of {shapes}"), torch.inference_mode(not self.needs_gradients), on_device:
            yield


def _spare_bytes(device: torch.device) -> int:
    """Return the number of bytes that copies may use: a quarter of the free memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4


def set_precision(precision: Precision, /) -> None:
    """Switch TensorFloat-32 on or off: by default PyTorch uses it in convolutions, so that its fp32 is not really fp32."""
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
