"""How far fresh weights are off in the time of a pass, beside the trained weights that a search kept.

python -m tests.benchmarks.fresh_weights ARCHIVE... [--networks 20] [--rounds 41]

Takes candidates near the front from archives in turn, and passes the first 400 test images through each network with its
trained weights, with fresh weights, and with a copy of its trained weights (the control), in a new order in each round. The
time is that of one thread, so that other work on the machine counts little; a ratio is the median over the rounds of the ratio
within a round. Energy is not measured: the difference of two passes needs a meter and an idle machine.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from itertools import chain, zip_longest
from pathlib import Path
from statistics import median

import torch
from torch import nn

from evolver.candidates import candidate, weights_of
from evolver.training.candidate import candidate_network
from profilers.datasets import load_dataset

IMAGES = 400


def initialised_anew(network: nn.Module) -> nn.Module:
    """Return the same network with weights as before training."""
    from evolver.training.network import initialise

    fresh = copy.deepcopy(network)
    assert isinstance(fresh, nn.Sequential)
    initialise(fresh)
    return fresh


def thread_s(network: nn.Module, images: torch.Tensor) -> float:
    start = time.thread_time()
    with torch.inference_mode():
        network(images)
    return time.thread_time() - start


def compared(network: nn.Module, images: torch.Tensor, rounds: int) -> tuple[float, float, float]:
    """Return seconds of a pass with trained weights; fresh by trained; a copy of trained by trained."""
    variants = {"trained": network, "fresh": initialised_anew(network), "copy": copy.deepcopy(network)}
    order, took = list(variants), list[dict[str, float]]()
    for _ in range(rounds + 3):  # the first three warm up
        random.shuffle(order)
        took.append({name: thread_s(variants[name].eval(), images) for name in order})
    fresh, control = (median(row[name] / row["trained"] for row in took[3:]) for name in ("fresh", "copy"))
    return median(row["trained"] for row in took[3:]), fresh, control


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("archives", type=Path, nargs="+")
    arguments.add_argument("--networks", type=int, default=20)
    arguments.add_argument("--rounds", type=int, default=41)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    kept = [[(path, file.stem) for file in sorted(weights_of(path, 0).parent.glob("*.pt"))] for path in given.archives]
    chosen = [found for found in chain.from_iterable(zip_longest(*kept)) if found is not None][: given.networks]
    print("| network | passes of 400 images, ms of a core | fresh / trained | copy / trained |")
    print("| --- | --- | --- | --- |")
    ratios, controls = [], []
    for path, number in chosen:
        found = load_dataset(candidate(path, number).settings["dataset"], split="test")
        mean, std = (torch.tensor(part).view(-1, 1, 1) for part in (found.mean, found.std))
        images = (torch.from_numpy(found.images[:IMAGES]) / 255 - mean) / std
        network, _ = candidate_network(path, number)
        assert network.weights == "trained"
        took, fresh, control = compared(network, images, given.rounds)
        ratios.append(fresh)
        controls.append(control)
        print(f"| {path.stem}#{number} | {took * 1e3:.2f} | {fresh:.3f} | {control:.3f} |", flush=True)
    print(f"\n{len(ratios)} networks: fresh / trained {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
          f"copy / trained {median(controls):.3f} ({min(controls):.3f} to {max(controls):.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
