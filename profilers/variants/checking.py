"""Open variants in a separate process, and return their scores of some images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from profilers.errors import ModelError, ProfilerError
from profilers.machine.child import ChildProcess, DeviceSlot, Died
from profilers.variants.execution import Execution, execution_of_module, execution_of_onnx

Images = NDArray[np.float32]

# As a share of the largest score. Exact variants: as for the winners of a search. Others: between an image alone and in a
# batch, which may add in another order (bfloat16 has 8 bits).
SAME = 1e-4
_SAME_ALONE = 0.05
_LONGEST_S = 3600.0
_GIVEN, _FOUND = "images.npy", "scores.npy"


@dataclass(frozen=True)
class Checked:
    """The result of a separate process: the scores of all images, and how they were computed."""

    scores: Images
    execution: Execution


@dataclass(frozen=True)
class Agreement:
    """The difference between the scores of a variant and its parent."""

    max_logit_difference: float
    agreement: float  # share of the images that both assign to the same class


class Checker:
    """A process that makes no variants and only opens files; after a failure it is replaced by a new one."""

    def __init__(self, images: Images, /, *, batch: int, threads: int) -> None:
        self._child = ChildProcess(DeviceSlot(), shows=True)
        self._folder = TemporaryDirectory()
        self._how = (self._folder.name, batch, threads)
        _save(Path(self._folder.name, _GIVEN), images)

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self._child.kill()
        self._folder.cleanup()

    def check(self, path: Path, /) -> Checked:
        """Open a file, and run it image by image and in batches.

        Raises ModelError if it cannot be opened or run, or gives an image different scores alone and in a batch.
        """
        try:
            how = self._child.call(f"{__name__}:run_apart", (path, *self._how), deadline_s=_LONGEST_S)
        except Died as death:
            raise ModelError(f"{death}" if death.kind == "error" else f"the process that opened it died: {death}") from None
        return Checked(np.load(Path(self._folder.name, _FOUND)), how)


def compare_scores(found: Images, parent: Images, /) -> Agreement:
    """Compare scores [n, classes]; NaN differs infinitely, and agrees with nothing."""
    if found.shape != parent.shape:
        raise ModelError(f"it gives scores of shape {found.shape[1:]} an image, its parent {parent.shape[1:]}")
    finite = np.isfinite(found).all(axis=1)
    difference = float(np.abs(found - parent).max()) if finite.all() else float("inf")
    return Agreement(difference, float(((found.argmax(1) == parent.argmax(1)) & finite).mean()))


def tolerance(parent: Images, /) -> float:
    """Return the largest allowed difference between the scores of an exact variant and its parent."""
    return SAME * max(1.0, float(np.abs(parent).max()))


def run_apart(path: Path, folder: str, batch: int, threads: int, /) -> Execution:
    """Run the images in a folder through a file, and save the scores there; `check` calls this in its process."""
    found = _checked(path, np.load(Path(folder, _GIVEN)), batch, threads)
    _save(Path(folder, _FOUND), found.scores)
    return found.execution


def _save(path: Path, array: Images) -> None:
    array = np.ascontiguousarray(array)
    try:
        with path.open("wb") as file:  # np.save does not always notice that a disk is full
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(array.data)
    except OSError as error:
        advice = "free some space, or name another folder by TMPDIR"
        raise ProfilerError(f"cannot write to {path.parent} ({error.strerror or error}); {advice}") from None


def _checked(path: Path, images: Images, batch: int, threads: int) -> Checked:
    run, how = _opened_onnx(path, threads) if path.suffix == ".onnx" else _opened_program(path, images[:2], threads)
    scores = np.concatenate([run(images[start : start + batch]) for start in range(0, len(images), batch)])
    alone = run(images[:1])
    if alone.shape != scores[:1].shape or not np.abs(alone - scores[:1]).max() <= _SAME_ALONE * max(1.0, np.abs(scores).max()):
        raise ModelError("it gives an image different scores alone and in a batch")
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

    from profilers.models.programs.loading import load_exported

    torch.set_num_threads(threads)
    module = load_exported(path).module()

    def run(images: Images) -> Images:
        with torch.inference_mode():
            scores: Images = module(torch.from_numpy(images)).numpy()
        return scores

    return run, execution_of_module(module, sample)
