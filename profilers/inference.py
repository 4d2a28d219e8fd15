"""Run a model over its batches on a device in one of three modes, and look at one batch closely."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from profilers.errors import ModelError, OutOfMemory
from profilers.request import Mode, Precision

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_EVENT_BATCHES = 50


@dataclass(frozen=True)
class Batch:
    """The arguments of one call, and how many images they hold."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    images: int

    def map(self, change: Callable[[torch.Tensor], torch.Tensor], /) -> Batch:
        def one(value: object) -> object:
            return change(value) if isinstance(value, torch.Tensor) else value

        return Batch(
            tuple(one(value) for value in self.args), {name: one(value) for name, value in self.kwargs.items()}, self.images
        )


@dataclass(frozen=True)
class Transfers:
    """Mean seconds a batch, by CUDA events: host to device, compute, device to host."""

    to_device_s: float
    compute_s: float
    to_host_s: float


class Inference:
    """A model and the batches of one pass, on a device.

    `paper`: batches lie in pageable host memory and are copied inside the measurement, one after the other.
    `device`: batches are resident on the device. `pipelined`: pinned host memory, the next copy overlaps the computation.
    On a CPU there is nothing to copy, and only the first two exist, as the same.
    Raises OutOfMemory, or ModelError where the model does not take the batches.
    """

    def __init__(self, module: Callable[..., object], batches: Sequence[Batch], /, *, device: torch.device, mode: Mode) -> None:
        if mode == "pipelined" and device.type != "cuda":
            raise ValueError(f"mode 'pipelined' overlaps copies to a GPU, and the device is {device}; use 'paper' or 'device'")
        self.module = module
        self.device = device
        self._mode = mode
        self._next = 0
        with _one_line(batches[0]):
            if mode == "device":
                batches = [self._to_device(batch) for batch in batches]
            elif mode == "pipelined":
                batches = [batch.map(torch.Tensor.pin_memory) for batch in batches]
                self._copies = torch.cuda.Stream(device)
        self._batches = batches

    @property
    def batches(self) -> int:
        return len(self._batches)

    @property
    def images(self) -> int:
        """Return the number of images in one pass."""
        return sum(batch.images for batch in self._batches)

    def run(self, batches: int, /) -> int:
        """Run the next batches, wait for the device once at the end, and return how many images they held."""
        chosen = [self._batches[(self._next + index) % len(self._batches)] for index in range(batches)]
        self._next = (self._next + batches) % len(self._batches)
        with _one_line(chosen[0]), torch.inference_mode():
            for batch in self._resident(chosen):
                self.module(*batch.args, **batch.kwargs)
            self._synchronise()
        return sum(batch.images for batch in chosen)

    def outputs(self) -> Iterator[object]:
        """Yield the output of each batch of one pass, in order."""
        with _one_line(self._batches[0]), torch.inference_mode():
            for batch in self._batches:
                moved = self._to_device(batch)
                yield self.module(*moved.args, **moved.kwargs)

    def latencies(self, *, max_s: float, most: int = 1000, least: int = 20) -> list[float]:
        """Return the seconds of single full batches, each waited for: from the call to the result on the device."""
        full = max(batch.images for batch in self._batches)
        chosen = [batch for batch in self._batches if batch.images == full]
        seconds: list[float] = []
        end_s = time.perf_counter() + max_s
        with _one_line(chosen[0]), torch.inference_mode():
            while len(seconds) < most and (len(seconds) < least or time.perf_counter() < end_s):
                start_s = time.perf_counter()
                batch = self._to_device(chosen[len(seconds) % len(chosen)])
                self.module(*batch.args, **batch.kwargs)
                self._synchronise()
                seconds.append(time.perf_counter() - start_s)
                if time.perf_counter() > end_s + 4 * max_s:
                    break
        return seconds

    def transfers(self) -> Transfers | None:
        """Return where the time of a batch goes, from pageable host memory; None on a CPU, where nothing is copied."""
        if self.device.type != "cuda":
            return None
        host = [batch.map(torch.Tensor.cpu) for batch in self._batches[:_EVENT_BATCHES]]
        spans: list[tuple[float, float, float]] = []
        with _one_line(host[0]), torch.inference_mode():
            for batch in host:
                marks = [torch.cuda.Event(enable_timing=True) for _ in range(4)]
                marks[0].record()
                moved = batch.map(lambda tensor: tensor.to(self.device))
                marks[1].record()
                output = self.module(*moved.args, **moved.kwargs)
                marks[2].record()
                for tensor in _tensors(output):
                    tensor.cpu()
                marks[3].record()
                torch.cuda.synchronize(self.device)
                # elapsed_time is milliseconds from the first to the second
                spans.append(tuple(before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)))
        return Transfers(*(float(np.mean(column)) for column in zip(*spans, strict=True)))

    def flops(self) -> int | None:
        """Return floating-point operations per image (a multiply-add is two), None where the format hides its operators."""
        batch = self._to_device(self._batches[0])
        with _one_line(batch), torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self.module(*batch.args, **batch.kwargs)
        total = int(counter.get_total_flops())
        return round(total / batch.images) if total else None

    def _to_device(self, batch: Batch) -> Batch:
        return batch.map(lambda tensor: tensor.to(self.device))

    def _resident(self, chosen: Sequence[Batch]) -> Iterator[Batch]:
        if self._mode != "pipelined":
            yield from map(self._to_device, chosen)
            return
        current = torch.cuda.current_stream(self.device)
        coming = self._prefetch(chosen[0])
        for index, _ in enumerate(chosen):
            current.wait_stream(self._copies)
            batch = coming
            batch.map(lambda tensor: tensor.record_stream(current) or tensor)
            if index + 1 < len(chosen):
                coming = self._prefetch(chosen[index + 1])
            yield batch

    def _prefetch(self, batch: Batch) -> Batch:
        with torch.cuda.stream(self._copies):
            return batch.map(lambda tensor: tensor.to(self.device, non_blocking=True))

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def scores(output: object, classes: int, /) -> torch.Tensor | str:
    """Return the scores [batch, classes] of an output, or why it has none. Of a tuple or dict the first tensor counts."""
    first = next(iter(_tensors(output)), None)
    if first is None:
        return "the model's output holds no tensor"
    if first.ndim != 2 or first.shape[1] != classes:
        return f"the model's output has shape {tuple(first.shape)}, not one score for each of {classes} classes"
    return first


def set_precision(precision: Precision, /) -> None:
    """Switch TensorFloat-32 on or off: PyTorch's own default uses it in convolutions, so its fp32 is none."""
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32


def peak_memory(device: torch.device, /) -> tuple[int | None, str]:
    """Return the most bytes in use and what they are of."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "tensors on the GPU"
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024, "the whole process, PyTorch and batches included"
    except (OSError, StopIteration):
        return None, "the system does not tell"


def _tensors(output: object) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in [output["logits"]] if "logits" in output else output.values():
            yield from _tensors(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors(value)


@contextmanager
def _one_line(batch: Batch) -> Iterator[None]:
    """Turn what torch raises when a model runs into one line."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"out of memory with {batch.images} images a batch; use a smaller --batch-size") from error
    except (
        RuntimeError,
        TypeError,
        ValueError,
        NotImplementedError,
        IndexError,
        KeyError,
        AttributeError,
        AssertionError,
    ) as error:
        text = str(error)
        if "allocate memory" in text or "out of memory" in text:
            raise OutOfMemory(f"out of memory with {batch.images} images a batch; use a smaller --batch-size") from error
        shapes = ", ".join("x".join(map(str, value.shape)) for value in batch.args if isinstance(value, torch.Tensor))
        # TorchScript puts the cause last, eager code first
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        told = next((line for line in reversed(lines) if "Error" in line), lines[0] if lines else type(error).__name__)
        raise ModelError(f"the model does not run on a batch of {shapes}: {told[:300]}") from error
