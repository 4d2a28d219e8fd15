"""Define the messages between the master and its workers: settings, survey, jobs and outcomes; imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Status = Literal["ok", "stopped", "collapsed", "nan", "oom", "timeout", "crash", "invalid", "lost"]
STATUSES: tuple[Status, ...] = get_args(Status)
Task = Literal["train", "again-1", "again-2", "measure", "final"]
AGAIN: tuple[Task, ...] = ("again-1", "again-2")  # further trainings of a candidate, with other seeds


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings common to all jobs of a run; a worker prepares once for each settings text that it sees."""

    dataset: str
    feature_slots: int = 16
    classifier_slots: int = 16
    max_epochs: int = 30
    collapse_test: bool = True
    batch_size: int = 100  # batch size of measured inference (Young et al. 2019, III.A)
    meter: str | None = None  # as in `ecosel profile --meter`; None: the device's own
    reproducible: bool = False  # deterministic arithmetic wherever PyTorch offers it
    space: dict[str, Any] | None = None  # from Space.to_dict(); None in a survey, before the space is known

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Survey:
    """A worker's report: the data set, and the device for training."""

    dataset: str  # the name in the archive's column `dataset`
    input_shape: tuple[int, int, int]  # channels, height, width
    classes: int
    images: dict[str, int]  # images in "train", "validation", "test"
    device: str  # the content of the column `device`
    versions: dict[str, str]  # versions of torch and other packages that affect the numbers
    cuda: bool = False
    no_energy: str | None = None  # why energy cannot be measured


@dataclass(frozen=True, slots=True)
class Job:
    """One task for one candidate.

    train: train on the training split; return the accuracy on the validation split, parameters, FLOPs; save the weights to
        `weights` if the accuracy is at least `keep_from`.
    again-1, again-2: the same with another seed; nothing is saved.
    measure: inference time and energy, alone on the device, with the weights in `weights` if that file exists.
    final: train once more, return the accuracy on the test set; save `export` + ".pt2" and ".pt" (state_dict).
    """

    task: Task
    birth: int
    genome: str  # JSON
    seed: int
    settings: str  # JSON of Settings
    rungs: tuple[tuple[int, float], ...] = ()  # (epochs done, accuracy below which to stop; 0 only records it)
    export: str | None = None
    weights: str | None = None
    keep_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Reestimate:
    """The accuracy of a candidate over several trainings with different seeds."""

    accuracy: float  # mean
    low: float
    high: float
    std: float  # standard deviation over the seeds
    trainings: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a job. None means not measured, perhaps with a `reason`; a missing number is never 0."""

    status: Status
    reason: str | None = None  # one line, for every status other than ok
    accuracy: float | None = None  # top-1 on the validation split, 0..1; after "final", on the test set
    accuracy_low: float | None = None  # 95 % interval
    accuracy_high: float | None = None
    parameters: int | None = None
    flops: int | None = None  # for one inference on one image
    train_time_s: float | None = None
    epochs: int | None = None
    curve: tuple[tuple[int, float], ...] = ()  # (epochs done, accuracy) at each rung reached
    topology: str | None = None  # JSON from evolver.architectures.normal_form.canonical.drawing
    inference_time_s: float | None = None  # seconds for one pass over the evaluation set
    inference_time_s_low: float | None = None
    inference_time_s_high: float | None = None
    energy_per_inference_j: float | None = None
    energy_per_inference_j_low: float | None = None
    energy_per_inference_j_high: float | None = None
    energy_source: str | None = None
    batch_size: int | None = None
    device: str | None = None
    precision: str | None = None
    peak_memory_bytes: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)  # further facts worth keeping, as JSON

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; it must be one of {', '.join(STATUSES)}")
