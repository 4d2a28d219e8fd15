"""Make one variant of a network: its file appears whole, once another process has verified it, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from profilers.datasets import LabelledImages
from profilers.energy.intervals import Estimate, share
from profilers.energy.per_image import Window
from profilers.errors import ModelError
from profilers.measuring.device import ReservedDevice
from profilers.models.inputs import image_batch
from profilers.models.torch_errors import in_one_line, quiet
from profilers.variants.checking import Agreement, Checked, compare_scores, tolerance
from profilers.variants.names import PRUNING, Variant, is_installed, missing_package
from profilers.variants.rewriting.cutting import cut, is_sequential
from profilers.variants.rewriting.finetuning import fine_tune
from profilers.variants.rewriting.folding import folded
from profilers.variants.rewriting.narrowing import in_bfloat16, low_rank
from profilers.variants.rewriting.onnx_files import count_quantised, has_vnni, write_int8, write_onnx

_CALIBRATION = 512  # number of training images that determine the ranges of an int8 network


@dataclass(frozen=True)
class Material:
    """The basis of variants: a network in layers, images, and the parent's scores to compare with."""

    network: fx.GraphModule
    images: NDArray[np.float32]  # normalised images of the evaluation set
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    training: LabelledImages | None  # None if no variant needs them
    normalise: str
    batch: int
    threads: int
    seed: int


@dataclass(frozen=True)
class FineTuning:
    """The cost of fine-tuning; the window is on the trace of the reserved device."""

    epochs: int
    window: Window


@dataclass(frozen=True)
class Made:
    """A variant with a verified file."""

    variant: Variant
    path: Path
    changes: tuple[str, ...]
    checked: Checked
    agreement: Agreement
    accuracy: Estimate
    quantised: tuple[int, int] | None = None  # layers computed in 8-bit integers, and layers with weights
    fine_tuning: FineTuning | None = None
    network: nn.Module | None = None  # from which the file was written


def check_pruning(network: fx.GraphModule, variants: tuple[Variant, ...], /) -> None:
    """Raise ProfilerError if torch-pruning is missing for a network with tied layers."""
    for variant in variants:
        if variant.kind == "prune" and not is_installed(PRUNING[1]) and not is_sequential(network):
            raise missing_package(variant, [PRUNING[0]])


Check = Callable[[Path], Checked]


def make(variant: Variant, material: Material, path: Path, device: ReservedDevice, check: Check, /, *, epochs: int) -> Made:
    """Write one variant to a path. Raises ModelError, leaving no file, if it cannot be made or does not match its name."""
    try:
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            file = Path(folder, path.name)
            written = _written(variant, material, file, device, epochs=epochs if variant.is_trained else 0)
            made = _verified(written, material, file, check)
            os.replace(file, path)
    except OSError as error:  # the folder is full, gone or read-only
        raise ModelError(f"{path} cannot be written ({error.strerror or error})") from error
    return replace(made, path=path)


@dataclass(frozen=True)
class _Written:
    variant: Variant
    network: nn.Module
    changes: tuple[str, ...]
    fine_tuning: FineTuning | None = None


def _written(variant: Variant, material: Material, file: Path, device: ReservedDevice, *, epochs: int) -> _Written:
    sample = torch.from_numpy(material.images[:2])
    network, tuning = material.network, None
    changes: tuple[str, ...] = ()
    if variant.percent is not None:
        lose = variant.percent / 100
        network, changes = cut(network, lose, sample) if variant.kind == "prune" else low_rank(network, lose)
        if epochs:
            tuning = _tuned(network, material, device, epochs)
    integer = variant.kind == "int8"
    network, simpler = folded(network, pool_first=variant.suffix != ".onnx")
    changes += simpler
    if variant.suffix == ".onnx":
        source = file.with_name("float.onnx") if integer else file
        write_onnx(network, sample, source)
        if integer and material.training is not None:
            images = _calibration(material.training, material)
            write_int8(source, file, images, has_vnni=has_vnni())
            changes += (f"calibrated on {len(images)} training images",)
        return _Written(variant, network, changes)
    if variant.kind == "fold" and not changes:
        raise ModelError("there is nothing to fold: no batch norm after a convolution, and no layer without effect")
    module: nn.Module = network
    if variant.kind == "bf16":
        module, layout = in_bfloat16(network, torch.from_numpy(material.images[: material.batch]))
        changes += layout
    _save(module, sample, file)
    return _Written(variant, module, changes, tuning)


def _tuned(network: fx.GraphModule, material: Material, device: ReservedDevice, epochs: int) -> FineTuning:
    training = material.training
    if training is None:
        raise ModelError("there are no training images to fine-tune on")

    def images(rows: NDArray[np.int64]) -> Tensor:
        return image_batch(training, rows, normalise=material.normalise)

    device.sampler.read()
    start_s = device.sampler.now()
    with in_one_line("fine-tuning"):
        fine_tune(network, images, training.labels, epochs=epochs, seed=material.seed)
    end_s = device.sampler.now()
    device.sampler.read()
    return FineTuning(epochs, Window(start_s, end_s, epochs * len(training.labels)))


def _calibration(training: LabelledImages, material: Material) -> NDArray[np.float32]:
    """Return some training images of all classes, as files are often sorted by class."""
    rows = np.random.default_rng(material.seed).permutation(len(training.labels))[:_CALIBRATION]
    images: NDArray[np.float32] = image_batch(training, rows, normalise=material.normalise).numpy()
    return images


def _save(network: nn.Module, sample: Tensor, file: Path) -> None:
    with in_one_line("saving"), quiet():
        program = torch.export.export(network, (sample,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, content := BytesIO())  # on a full disk, torch ends the process
        file.write_bytes(content.getbuffer())


def _verified(written: _Written, material: Material, file: Path, check: Check) -> Made:
    checked = check(file)
    agreement = compare_scores(checked.scores, material.scores)
    difference, bound = agreement.max_logit_difference, tolerance(material.scores)
    if written.variant.is_exact and not difference <= bound:
        raise ModelError(f"its scores differ from the parent's by {difference:.2g}, above {bound:.2g}; it is not kept")
    if not np.isfinite(checked.scores).all():
        raise ModelError("it gives scores that are not numbers; it is not kept")
    hits = int((checked.scores.argmax(1) == material.labels).sum())
    return Made(
        written.variant,
        file,
        written.changes,
        checked,
        agreement,
        share(hits, len(material.labels)),
        _quantised(file, checked) if written.variant.kind == "int8" else None,
        written.fine_tuning,
        written.network,
    )


def _quantised(file: Path, checked: Checked) -> tuple[int, int]:
    """Return how many layers run in 8-bit integers, out of those that could. Raises ModelError if none does."""
    stored, possible = count_quantised(file)
    executed = min(stored, checked.execution.integer_layers or 0)
    if not executed:
        raise ModelError(f"0 of {possible} layers run in 8-bit integers ({stored} are stored so); it is not kept as int8")
    return executed, possible
