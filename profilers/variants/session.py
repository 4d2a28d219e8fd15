"""Make the variants of a model and compare them with it, in one session on one device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from profilers.datasets import Fit, LabelledImages, load_dataset
from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Windows, derive
from profilers.energy.sampling.trace import PowerTrace
from profilers.errors import ModelError, OutOfMemory, ProfilerError
from profilers.inference.protocol import Inference
from profilers.inference.running import TorchInference
from profilers.inference.scores import scores
from profilers.measuring.device import ReservedDevice, reserve
from profilers.measuring.runtime import Prepared, runtime_of
from profilers.measuring.settings import ProfileSettings, Progress, Show
from profilers.measuring.several.comparison import Rounds
from profilers.measuring.several.side_by_side import Opened, measure_side_by_side
from profilers.models.opening import drawn
from profilers.results.inference_profile import InferenceProfile
from profilers.variants.checking import Checker
from profilers.variants.execution import Execution, execution_of_module
from profilers.variants.making import FineTuning, Made, Material, check_pruning, make
from profilers.variants.names import Variant
from profilers.variants.rewriting.graph import layered
from profilers.variants.settings import CompressSettings, check_settings


@dataclass(frozen=True)
class Failure:
    """A variant that could not be made, and the reason; it has no file."""

    variant: Variant
    status: str
    reason: str


@dataclass(frozen=True)
class Model:
    """The parent (`made` is None), or a variant; ratios are to the parent."""

    settings: ProfileSettings
    profile: InferenceProfile
    execution: Execution
    made: Made | None = None
    time_ratio: Estimate | None = None
    energy_ratio: Estimate | None = None
    finetune_energy_j: float | None = None
    break_even_images: float | None = None  # ratio of energies


@dataclass(frozen=True)
class Redundancy:
    """The slots without effect in a network of a search, and its time as drawn divided by that without them."""

    slots: tuple[str, ...]
    time_ratio: Estimate


@dataclass(frozen=True)
class Compression:
    """The parent and its variants, measured side by side, and the variants that failed."""

    parent: Model
    variants: tuple[Model, ...]
    failures: tuple[Failure, ...]
    redundancy: Redundancy | None = None


@dataclass(frozen=True)
class _Opened(Opened):
    execution: Execution
    made: Made | None = None


def compress(settings: CompressSettings, /, *, show: Show = lambda progress: None) -> Compression:
    """Make, verify and measure variants. Raises ProfilerError, before anything is written, if the parent cannot be used."""
    check_settings(settings)
    parent = settings.parent
    runtime = runtime_of(parent)
    with reserve(runtime.find_device(parent.device), meter=parent.meter, plan=parent.plan, show=show) as device:
        show(Progress("opening the model", 0.0, 0.0))
        prepared = runtime.prepare(parent, device.place)
        if not isinstance(prepared.inference, TorchInference):
            raise ModelError(f"{parent.model} is {prepared.format}; variants are made only of PyTorch models")
        if parent.weights is None and getattr(prepared.inference.eager, "weights", None) == "fresh":
            raise ModelError(f"{parent.model} has fresh weights; name trained ones with --weights (evolve --final saves them)")
        material = _material(settings, prepared, prepared.inference)
        check_pruning(material.network, settings.variants)
        try:
            settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProfilerError(f"cannot write to {settings.folder} ({error.strerror}); name another folder with -o") from error
        how = execution_of_module(prepared.inference.eager, material.images[:2])
        opened, failures = [_Opened(parent, runtime, prepared, how)], []
        with Checker(material.images, batch=material.batch, threads=material.threads) as checker:
            for number, variant in enumerate(settings.variants):
                show(Progress(f"making {variant.name}", number / len(settings.variants), 0.0))
                try:
                    made = make(variant, material, settings.path(variant), device, checker.check, epochs=settings.finetune)
                    opened.append(_opened(parent, made, device))
                except ProfilerError as error:
                    settings.path(variant).unlink(missing_ok=True)  # verified, but cannot be measured
                    status = "oom" if isinstance(error, OutOfMemory) else "invalid"
                    failures.append(Failure(variant, status, str(error)))
        as_drawn, slots = drawn(parent.model) if prepared.format == "genome" else (None, ())
        models, ratio = _measured(opened, as_drawn, device, parent, show)
    redundancy = Redundancy(slots, ratio) if ratio is not None else None
    return Compression(models[0], tuple(models[1:]), tuple(failures), redundancy)


def _material(settings: CompressSettings, prepared: Prepared, inference: TorchInference) -> Material:
    parent, data = settings.parent, prepared.data
    if not isinstance(data, LabelledImages):
        raise ModelError(f"--dataset {parent.dataset}: variants need labelled images of one size; name such a data set")
    images = np.concatenate([batch.tensors[0].numpy() for batch in inference.batches_of])
    found = []
    for output, count in inference.outputs():
        given = scores(output, count, len(data.classes))
        if isinstance(given, str):
            raise ModelError(f"{parent.model}: {given}")
        found.append(given)
    training = None
    if settings.needs_training_images:
        training = load_dataset(
            parent.dataset or "", split="train", download=parent.download, fitting=Fit.of(parent.resize, parent.crop)
        )
    return Material(
        network=layered(inference.eager, torch.from_numpy(images[:2])),
        images=images,
        scores=np.concatenate(found).astype(np.float32),
        labels=data.labels[: len(images)],
        training=training,
        normalise=parent.normalise,
        batch=parent.batch_size,
        threads=torch.get_num_threads(),
        seed=parent.seed,
    )


def _opened(parent: ProfileSettings, made: Made, device: ReservedDevice) -> _Opened:
    """Open a verified file in this process."""
    # trusted, as this program wrote it
    settings = dataclasses.replace(parent, model=str(made.path), trust=True, factory=None, factory_args=None, weights=None)
    runtime = runtime_of(settings)
    prepared = runtime.prepare(settings, device.place)
    return _Opened(settings, runtime, dataclasses.replace(prepared, precision=made.checked.execution.precision),
                   made.checked.execution, made)  # fmt: skip


def _measured(
    opened: list[_Opened], as_drawn: Callable[..., object] | None, device: ReservedDevice, parent: ProfileSettings, show: Show, /
) -> tuple[list[Model], Estimate | None]:
    """Measure all in turn, finally the parent as a search drew it; return the models, and its ratio."""
    inferences: list[Inference] = [one.prepared.inference for one in opened]
    drawn_too: list[Inference] = []
    if as_drawn is not None and isinstance(first := inferences[0], TorchInference):
        drawn_too = [TorchInference(as_drawn, first.batches_of, device=first.device, mode=parent.mode, seed=parent.seed)]
    for inference in (*inferences, *drawn_too):
        inference.run_each_size()
    rounds, found = measure_side_by_side(opened, device, show=show, others=drawn_too)
    # other load slows them all alike: this is remarked on, but they can still be ranked
    profiles = [
        dataclasses.replace(profile, facts=dataclasses.replace(profile.facts, invalid=looked.invalid))
        for looked, profile in found
    ]
    trace = device.sampler.trace()
    models = [
        _model(one, profile, profiles[0], rounds, number, trace)
        for number, (one, profile) in enumerate(zip(opened, profiles, strict=True))
    ]
    return models, rounds.time_ratio(len(opened)) if as_drawn is not None else None


def _model(
    one: _Opened, profile: InferenceProfile, parent: InferenceProfile, rounds: Rounds, number: int, trace: PowerTrace, /
) -> Model:
    if one.made is None:
        return Model(one.settings, profile, one.execution)
    spent = _joules(one.made.fine_tuning, rounds.marks(number), trace)
    ours, theirs = profile.energy.per_inference, parent.energy.per_inference
    saved = theirs.value - ours.value if ours and theirs else None
    return Model(
        one.settings,
        profile,
        one.execution,
        one.made,
        rounds.time_ratio(number),
        rounds.energy_ratio(number, trace),
        spent,
        spent / saved if spent is not None and saved is not None and saved > 0 else None,
    )


def _joules(tuning: FineTuning | None, marks: Windows, trace: PowerTrace) -> float | None:
    """Return the energy of fine-tuning; None without fine-tuning, or without a meter."""
    if tuning is None:
        return None
    others = (*marks.groups, *marks.others)
    spent = derive(trace, dataclasses.replace(marks, groups=(tuning.window,), others=others)).per_inference
    return spent.value * tuning.window.images if spent else None
