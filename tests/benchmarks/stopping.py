"""What the collapse test and rungs save, against a control in which every candidate trains to its end.

    python -m tests.benchmarks.stopping [--candidates 200] [--dataset digits] [--max-epochs 4]

Random genomes are trained to the end, with the accuracy at each rung noted. The stops are then applied to them in order of birth,
as a run applies them: the collapse test by training again with it, a rung at a share of a candidate's own epochs by the given quantile of
the accuracies that those before it had there.
"""

from __future__ import annotations

import argparse
import math
import platform
from dataclasses import dataclass, replace

import numpy as np

WARM_UP = 20  # candidates before rungs have a basis


@dataclass(frozen=True)
class Trial:
    accuracy: float  # 0 where the control ended in nan
    seconds: float
    epochs: int
    curve: tuple[tuple[int, float], ...]
    collapse_s: float | None  # seconds until the collapse test stopped it


def trials(count: int, dataset: str, max_epochs: int, seed: int) -> list[Trial]:
    import torch

    from evolver.architectures.space import suited
    from evolver.architectures.variation import random_genome
    from evolver.jobs import Job, Settings
    from evolver.training.evaluation import evaluate, prepare, survey

    torch.set_num_threads(1)
    tested = Settings(dataset=dataset, max_epochs=max_epochs)
    control = replace(tested, collapse_test=False)
    prepare(control.to_json())
    found = survey(control.to_json())
    space = suited(
        found.input_shape, found.classes, training_images=found.images["train"], cuda=found.cuda, max_epochs=max_epochs
    )
    print(
        f"{found.device}, {platform.machine()}, torch {torch.__version__}, {dataset}, {count} candidates, seed {seed}\n",
        flush=True,
    )
    rng = np.random.default_rng(seed)
    gathered = []
    for birth in range(count):
        genome = random_genome(space, rng)
        rungs = tuple((epoch, 0.0) for epoch in range(1, genome.training.epochs))
        job = Job("train", birth, genome.to_json(), birth, control.to_json(), rungs)
        full, short = evaluate(job), evaluate(replace(job, settings=tested.to_json()))
        collapsed_s = short.train_time_s if short.status == "collapsed" else None
        gathered.append(Trial(full.accuracy or 0.0, full.train_time_s or 0.0, genome.training.epochs, full.curve, collapsed_s))
    return gathered


def stopped_at(trial: Trial, before: list[Trial], *, share: float, quantile: float) -> int | None:
    """Return the epoch after which a rung would have stopped a candidate; None where it would not."""
    epoch = math.ceil(share * trial.epochs)
    there = [dict(other.curve).get(math.ceil(share * other.epochs)) for other in before]
    basis = [accuracy for accuracy in there if accuracy is not None]
    if epoch >= trial.epochs or len(basis) < WARM_UP or epoch not in dict(trial.curve):
        return None
    return epoch if dict(trial.curve)[epoch] < np.quantile(basis, quantile) else None


def row(name: str, control: list[Trial], seconds: list[float], stopped: list[bool]) -> str:
    total = sum(trial.seconds for trial in control)
    best = sorted(range(len(control)), key=lambda number: -control[number].accuracy)
    lost = [rank + 1 for rank, number in enumerate(best) if stopped[number]]
    highest = f"{lost[0]} of {len(control)}" if lost else "none"
    return f"| {name} | {sum(stopped)} | {1 - sum(seconds) / total:.0%} | {highest} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--max-epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    control = trials(given.candidates, given.dataset, given.max_epochs, given.seed)
    accuracies = np.array([trial.accuracy for trial in control])
    print(
        f"control: {sum(trial.seconds for trial in control):.0f} s of training, accuracy median {np.median(accuracies):.4f}, best {accuracies.max():.4f}\n"
    )
    print("| stop | stopped | training time saved | best rank of a stopped candidate in the control |\n| --- | --- | --- | --- |")
    collapsed = [trial.collapse_s is not None for trial in control]
    seconds = [trial.seconds if trial.collapse_s is None else trial.collapse_s for trial in control]
    print(row("collapse test", control, seconds, collapsed))
    for share in (0.25, 0.5):
        for quantile in (0.25, 0.5):
            ends = [stopped_at(trial, control[:number], share=share, quantile=quantile) for number, trial in enumerate(control)]
            cut = [
                trial.seconds if end is None else trial.seconds * end / trial.epochs
                for trial, end in zip(control, ends, strict=True)
            ]
            print(
                row(
                    f"rung at {share:.0%} of the epochs, quantile {quantile:.0%}", control, cut, [end is not None for end in ends]
                )
            )
            both = [min(one, other) for one, other in zip(cut, seconds, strict=True)]
            either = [end is not None or flat for end, flat in zip(ends, collapsed, strict=True)]
            print(row("... and the collapse test", control, both, either))


if __name__ == "__main__":
    main()
