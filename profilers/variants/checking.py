"""Open a variant in a fresh process and say what it gives there: a file and images → its scores."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profilers.errors import ModelError
from profilers.machine.stdout import stdout_aside
from profilers.variants.execution import Execution, execution_of_module, execution_of_onnx

Images = NDArray[np.float32]

# Of the largest score. Exact variants: as for the winners of a search. Others: between one image alone and the same in a
# batch, whose sums may be taken in another order (bfloat16 has 8 bits).
SAME = 1e-4
_SAME_ALONE = 0.05


@dataclass(frozen=True)
class Checked:
    """What a fresh process found: the scores of all images, and how they were computed."""

    scores: Images
    execution: Execution


@dataclass(frozen=True)
class Agreement:
    """How far the scores of a variant are from its parent's."""

    max_logit_difference: float
    agreement: float  # share of the images that both put into the same class


def check(path: Path, images: Images, /, *, batch: int, threads: int) -> Checked:
    """Open a file in a fresh process, and run it there image by image and in batches.

    ModelError where it cannot be opened or run, or says of an image alone what it does not say in a batch.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with TemporaryDirectory() as folder:
        np.save(given := Path(folder, "images.npy"), images)
        process = context.Process(target=_child, args=(path, given, batch, threads, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            answer = ours.recv()
        except EOFError:
            process.join()
            raise ModelError(f"the process that opened it ended with status {process.exitcode}") from None
        finally:
            process.kill()
            process.join()
            ours.close()
    if isinstance(answer, str):
        raise ModelError(answer)
    found: Checked = answer
    return found


def compare_scores(found: Images, parent: Images, /) -> Agreement:
    """Compare scores [n, classes]; a score that is not a number differs infinitely, and agrees with nothing."""
    if found.shape != parent.shape:
        raise ModelError(f"it gives scores of shape {found.shape[1:]} an image, its parent {parent.shape[1:]}")
    finite = np.isfinite(found).all(axis=1)
    difference = float(np.abs(found - parent).max()) if finite.all() else float("inf")
    return Agreement(difference, float(((found.argmax(1) == parent.argmax(1)) & finite).mean()))


def tolerance(parent: Images, /) -> float:
    """Return how far the scores of an exact variant may be from its parent's."""
    return SAME * max(1.0, float(np.abs(parent).max()))


def _child(path: Path, given: Path, batch: int, threads: int, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends this process
    answer: Any
    try:
        with stdout_aside():
            answer = _checked(path, np.load(given), batch, threads)
    except Exception as error:
        answer = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}" if str(error).strip() else repr(error)
    connection.send(answer)


def _checked(path: Path, images: Images, batch: int, threads: int) -> Checked:
    run, how = _opened_onnx(path, threads) if path.suffix == ".onnx" else _opened_program(path, images[:2], threads)
    scores = np.concatenate([run(images[start : start + batch]) for start in range(0, len(images), batch)])
    alone = run(images[:1])
    if alone.shape != scores[:1].shape or not np.abs(alone - scores[:1]).max() <= _SAME_ALONE * max(1.0, np.abs(scores).max()):
        raise ModelError("it gives an image other scores alone than in a batch")
    return Checked(scores, how)


def _opened_onnx(path: Path, threads: int) -> tuple[Callable[[Images], Images], Execution]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda images: session.run(None, {given.name: images})[0], execution_of_onnx(path)


def _opened_program(path: Path, sample: Images, threads: int) -> tuple[Callable[[Images], Images], Execution]:
    import torch

    torch.set_num_threads(threads)
    with path.open("rb") as content:
        module = torch.export.load(content).module()

    def run(images: Images) -> Images:
        with torch.inference_mode():
            scores: Images = module(torch.from_numpy(images)).numpy()
        return scores

    return run, execution_of_module(module, sample)
