"""Do one job for one candidate inside a worker: train it, measure it, or finish it as a winner."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.architectures.genome import Genome
from evolver.architectures.normal_form.canonical import canonical, drawing
from evolver.architectures.shapes import describe
from evolver.architectures.space import Space, suited
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Settings, Survey
from evolver.training.candidate import OtherLogitsError, keep_weights, load_weights, save
from evolver.training.network import build
from evolver.training.training import ImageSet, TrainingResult, count_correct, image_set, joined, train
from profilers.datasets import LabelledImages, load_dataset, splits
from profilers.energy.intervals import Estimate, share
from profilers.errors import DataError
from profilers.inference.batches import Batch
from profilers.inference.running import set_precision
from profilers.measuring.settings import Plan
from profilers.meters import NoMeter, find_meter
from profilers.models.torch_errors import is_out_of_memory
from profilers.runtimes.module import measure_batches
from profilers.runtimes.pytorch import find_device


def prepare(settings: str) -> None:
    """Load the data set onto the device, once for each settings text. Raises DataError if it cannot be used."""
    _evaluator(settings)


def survey(settings: str) -> Survey:
    """Return the facts that the master needs before the first birth. Raises DataError if data or test images are unusable."""
    return _evaluator(settings).survey()


def evaluate(job: Job) -> Outcome:
    """Train, measure or finish one candidate. Failures that any candidate may have are outcomes, not exceptions."""
    evaluator = _evaluator(job.settings)
    try:
        genome = canonical(Genome.from_json(job.genome), evaluator.space)
        description = describe(genome, evaluator.space)
    except ValueError as error:
        return Outcome("invalid", str(error))
    drawn = json.dumps(drawing(description), separators=(",", ":"))
    known = Outcome("ok", parameters=description.parameters, flops=description.flops, topology=drawn)
    try:
        match job.task:
            case "train" | "again-1" | "again-2":
                return evaluator.train(job, genome, known)
            case "measure":
                return evaluator.measure(job, genome, known)
            case "final":
                return evaluator.finish(job, genome, known)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or ["out of memory"])[0]
    # outside the except clause, where the traceback would keep the tensors alive
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return replace(known, status="oom", reason=reason)


def split_rows(labels: NDArray[np.int64], /) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows for training and for validation: the same for the same labels, with every class in both if possible.

    A tenth is for validation (5,000 of 50,000 in CIFAR-10); in small sets, up to 1,000 images, but at most a third.
    """
    part = min(len(labels) // 3, max(1000, len(labels) // 10)) / max(1, len(labels))
    order = np.random.default_rng(0).permutation(len(labels))
    by_class = [order[labels[order] == label] for label in np.unique(labels)]
    cuts = [round(part * len(rows)) for rows in by_class]
    validation = np.concatenate([rows[:cut] for rows, cut in zip(by_class, cuts, strict=True)])
    training = np.concatenate([rows[cut:] for rows, cut in zip(by_class, cuts, strict=True)])
    return np.sort(training), np.sort(validation)


def _words(shape: tuple[int, ...], classes: int) -> str:
    return f"images of {'x'.join(map(str, shape))} in {classes} classes"


class Evaluator:
    """A data set on a device, ready for training.

    Candidates are compared on validation images: the data set's own, or some set aside from its training images.
    """

    def __init__(self, settings: Settings, *, device: str | None = None) -> None:
        self.settings = settings
        self.device = torch.device(device or _device())
        if settings.reproducible:
            torch.use_deterministic_algorithms(True, warn_only=True)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = False  # its trials cost more time than a short training gains
        found = load_dataset(settings.dataset, split="train")
        self.name, self._labelled = found.name, found
        if "valid" in splits(settings.dataset):
            held_out = load_dataset(settings.dataset, split="valid")
            self.training, self.validation = self._resident(found), self._resident(held_out)
        else:
            rows, held = split_rows(found.labels)
            if not len(rows) or not len(held):
                raise DataError(
                    f"{settings.dataset}: {len(found.labels)} training images are too few to set some aside for validation"
                )
            self.training, self.validation = self._resident(found, rows), self._resident(found, held)
        shape, classes = tuple(found.images.shape[1:]), len(found.classes)
        if settings.space is not None:
            self.space = Space(**settings.space)
            was = self.space.input_shape, self.space.classes
            if was != (shape, classes):  # a path may lead to other images than when the search began
                raise DataError(f"{settings.dataset}: it has {_words(shape, classes)}; the search began with {_words(*was)}")
        else:
            self.space = suited(
                shape, classes, training_images=len(self.training), cuda=self.device.type == "cuda",
                feature_slots=settings.feature_slots, classifier_slots=settings.classifier_slots, max_epochs=settings.max_epochs,
            )  # fmt: skip

    def survey(self) -> Survey:
        """Describe data and device; the test images are read once for this, and not kept."""
        test = load_dataset(self.settings.dataset, split="test")
        versions = {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}
        if torch.version.cuda:
            versions["cuda"] = torch.version.cuda
        return Survey(
            dataset=self.name,
            input_shape=self.space.input_shape,
            classes=self.space.classes,
            images={"train": len(self.training), "validation": len(self.validation), "test": len(test.labels)},
            device=find_device(self.device.type).name,
            versions=versions,
            cuda=self.device.type == "cuda",
            no_energy=self._no_energy(),
        )

    def _no_energy(self) -> str | None:
        """Return why there is no meter. Raises ProfilerError or EvolverError if a meter given by name is missing."""
        try:
            meter = find_meter(self.settings.meter, self.device.type)
        except ValueError as error:
            raise EvolverError(f"--meter: {error}") from error
        if isinstance(meter, NoMeter):
            return meter.reason
        meter.close()
        return None

    def train(self, job: Job, genome: Genome, known: Outcome) -> Outcome:
        """Train on the training images; the accuracy is on the validation images."""
        course, network = self._trained(job, genome, self.training, rungs=dict(job.rungs))
        outcome = self._after(course, known)
        if course.correct is None:
            return outcome
        why = self._at_chance(course.correct) if self.settings.collapse_test else None
        if why:
            return replace(outcome, status="collapsed", reason=why)
        if job.weights is not None and course.correct >= job.keep_from * len(self.validation):
            outcome = replace(outcome, notes={"weights": keep_weights(network, Path(job.weights))})
        return replace(outcome, **_accuracy(course.correct, len(self.validation)))

    def _at_chance(self, correct: int) -> str | None:
        """Return why a network is no better than always naming the most frequent class, if its accuracy's interval says so."""
        total = len(self.validation)
        chance = int(self.validation.labels.bincount().max()) / total
        found, best = share(correct, total), share(total, total)
        if (found.low or 0.0) > chance or (best.low or 0.0) <= chance:  # with few images, no interval can show more
            return None
        return f"accuracy {found.value:.4f} ({found.low:.4f} to {found.high:.4f}) is not above the {chance:.4f} of the top class"

    def finish(self, job: Job, genome: Genome, known: Outcome) -> Outcome:
        """Train on training and validation images together, save the network, and count correct test images once, in float32."""
        if job.export is None:
            raise ValueError("a final job needs the path to export to")
        course, network = self._trained(job, genome, joined(self.training, self.validation), rungs={})
        outcome = self._after(course, known)
        if course.status != "ok":
            return outcome
        test = load_dataset(self.settings.dataset, split="test")
        set_precision("fp32")
        correct = count_correct(network, self._resident(test), autocast=False)
        sample = self.validation.batch(slice(0, 100))[0].cpu().contiguous()
        try:
            difference = save(network, sample, Path(job.export))
        except OtherLogitsError as error:
            return replace(outcome, status="invalid", reason=str(error))
        notes = {
            "test_set": test.name,
            "mean": self._labelled.mean,
            "std": self._labelled.std,
            "saved_logit_difference": difference,
        }
        return replace(outcome, **_accuracy(correct, len(test.labels)), precision="fp32", notes=notes)

    def measure(self, job: Job, genome: Genome, known: Outcome, *, plan: Plan | None = None) -> Outcome:
        """Measure time and energy of a pass over the validation images, in float32, alone on the device.

        The weights are the trained ones if they were kept, and otherwise fresh ones.
        """
        set_precision("fp32")
        torch.manual_seed(job.seed)
        with self.device:
            network = build(genome, self.space).eval()
        trained = job.weights is not None and load_weights(network, Path(job.weights))
        size = self.settings.batch_size
        starts = range(0, len(self.validation), size)
        # on a GPU they are resident with the channels innermost; `ecosel profile` measures the usual layout
        images = [self.validation.batch(slice(start, start + size))[0].cpu().contiguous() for start in starts]
        cost = measure_batches(
            network,
            [Batch((batch,), {}, len(batch)) for batch in images],
            device=self.device.type,
            meter=self.settings.meter,
            plan=plan or Plan.quick(),
            seed=job.seed % 2**32,
        )
        energy = None if cost.energy.invalid else cost.energy.per_inference
        reason = cost.energy.invalid or "; ".join(cost.energy.reasons) or None
        return replace(
            known,
            **_columns("inference_time_s", cost.inference_time),
            **_columns("energy_per_inference_j", energy),
            energy_source=cost.energy.source if energy else None,
            batch_size=size,
            device=find_device(self.device.type).name,
            precision="fp32",
            notes={"weights": "trained" if trained else "untrained"} | ({"energy": reason} if energy is None else {}),
        )

    def _trained(
        self, job: Job, genome: Genome, images: ImageSet, *, rungs: dict[int, float]
    ) -> tuple[TrainingResult, torch.nn.Module]:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        torch.manual_seed(job.seed)
        with self.device:
            network = build(genome, self.space)
        tested = self.settings.collapse_test
        seed = (job.seed + 1) % 2**63  # the weights used the numbers of job.seed
        return train(network, images, self.validation, genome.training, seed=seed, rungs=rungs, collapse_test=tested), network

    def _after(self, course: TrainingResult, known: Outcome) -> Outcome:
        return replace(
            known,
            status=course.status,
            reason=course.reason,
            train_time_s=course.train_time_s,
            epochs=course.epochs,
            curve=course.curve,
            peak_memory_bytes=torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None,
        )

    def _resident(self, found: LabelledImages, rows: NDArray[np.int64] | slice = slice(None)) -> ImageSet:
        mean, std = self._labelled.mean, self._labelled.std
        if mean is None or std is None:
            raise DataError(f"{self.settings.dataset} has no training images for mean and deviation")
        return image_set(found.images[rows], found.labels[rows], mean, std, self.device)


def _device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    pinned = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if pinned.startswith(("GPU-", "MIG-")):  # a worker's own GPU: the processor must not silently replace it
        raise EvolverError(
            f"PyTorch {torch.__version__} finds no CUDA device {pinned}; install a PyTorch that fits the driver, "
            "or use --devices cpu"
        )
    return "cpu"


@lru_cache(maxsize=2)
def _evaluator(settings: str) -> Evaluator:
    return Evaluator(Settings.from_json(settings))


def _accuracy(correct: int, total: int) -> dict[str, Any]:
    return _columns("accuracy", share(correct, total))


def _columns(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
