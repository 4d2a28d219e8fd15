"""Run an ONNX Runtime session over its batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from profilers.errors import ModelError
from profilers.inference.protocol import RandomOrder, Transfers, process_peak_memory, time_singly
from profilers.models.torch_errors import in_one_line
from profilers.runtimes.onnx_batches import FeedBatch, Feeds

_LOOPS = 1000
# How many times as long as a measurement one batch may take, before the model counts as one that never ends.
_LONGEST = 10


class OnnxInference:
    """A session and the batches of one pass; a run includes copies to and from a GPU, as in mode `paper`."""

    def __init__(
        self, session: Any, batches: Sequence[FeedBatch], /, *, seed: int, flops: tuple[int | None, str | None], max_s: float
    ) -> None:
        self._session = session  # onnxruntime.InferenceSession, which has no types
        self.batches_of = batches
        self._order = RandomOrder(len(batches), seed)
        self._flops = flops
        self._max_s = max_s

    @property
    def batches(self) -> int:
        return len(self.batches_of)

    @property
    def images(self) -> int:
        return sum(batch.images for batch in self.batches_of)

    @property
    def changes_inputs(self) -> bool:
        return False  # a graph never writes to its inputs

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def try_out(self) -> None:
        for batch in {batch.images: batch for batch in self.batches_of}.values():
            with _running(batch):
                run_in_time(self._session, batch.feeds, max_s=self._max_s)

    def ready(self, batches: int, /) -> int:
        return batches

    def loop_s(self) -> float:
        chosen = [self.batches_of[0]] * _LOOPS
        start_s = time.perf_counter()
        _run_all(lambda outputs, feeds: None, chosen)
        return (time.perf_counter() - start_s) / _LOOPS

    def run(self, batches: int, /) -> int:
        return self._run([self.batches_of[place] for place in self._order.take(batches)])

    def run_each_size(self) -> int:
        return self._run(list({batch.images: batch for batch in self.batches_of}.values()))

    def _run(self, chosen: Sequence[FeedBatch]) -> int:
        return _run_all(self._session.run, chosen)

    def outputs(self) -> Iterator[tuple[object, int]]:
        for batch in self.batches_of:
            with _running(batch):
                output = self._session.run(None, batch.feeds)
            yield output, batch.images

    def latencies(self, *, max_s: float) -> list[float]:
        full = max(batch.images for batch in self.batches_of)
        chosen = [batch.feeds for batch in self.batches_of if batch.images == full]
        with _running(self.batches_of[0]):
            return time_singly(
                lambda feeds: self._session.run(None, feeds), lambda place: chosen[place % len(chosen)], max_s=max_s
            )

    def transfers(self) -> Transfers | None:
        return None

    def flops(self) -> tuple[int | None, str | None]:
        return self._flops

    def peak_memory(self) -> tuple[int | None, str]:
        return process_peak_memory("ONNX Runtime")

    @contextmanager
    def compiling(self) -> Iterator[None]:
        raise ModelError("ONNX Runtime compiles every model as it opens it")
        yield


def run_in_time(session: Any, feeds: Feeds, /, *, max_s: float) -> Any:
    """Run one batch and return its outputs; raise ModelError if it takes ten times as long as a whole measurement may."""
    from onnxruntime import RunOptions

    options = RunOptions()
    watch = threading.Timer(_LONGEST * max_s, setattr, (options, "terminate", True))
    watch.daemon = True
    watch.start()
    try:
        return session.run(None, feeds, options)
    except Exception as error:
        if not options.terminate:
            raise
        raise ModelError(
            f"the model does not finish one batch within {_LONGEST * max_s:g} s (does it loop for ever?);"
            " if it is that slow, raise --max-seconds"
        ) from error
    finally:
        watch.cancel()


def _run_all(run: Callable[[None, Feeds], object], chosen: Sequence[FeedBatch]) -> int:
    with _running(chosen[0]):
        for batch in chosen:
            run(None, batch.feeds)
    return sum(batch.images for batch in chosen)


@contextmanager
def _running(batch: FeedBatch) -> Iterator[None]:
    with in_one_line(f"the model on a batch of {batch.shapes}"):
        yield
