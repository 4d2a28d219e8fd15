"""A small architecture problem with a known answer, and what a worker does for it: quick, deterministic, without torch."""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evolver.jobs import Job, Outcome, Settings, Survey
from evolver.run import session
from evolver.run.request import Budget, SearchRequest, Work
from evolver.search.optimizer import SearchSettings
from evolver.workers.executors import open_engine

SLOTS, KINDS, WIDTHS = 12, 4, 8
Slots = tuple[tuple[int, int], ...]  # (kind, width) of each slot; kind 0 is off


@dataclass(frozen=True)
class SlotProblem:
    """Slots with a kind and a width; neighbours interact (an NK landscape, Kauffman 1989), parameters multiply like layers'."""

    landscape: int = 0

    def random(self, rng: np.random.Generator, /) -> Slots:
        return tuple((int(rng.integers(KINDS)), int(rng.integers(WIDTHS))) for _ in range(SLOTS))

    def vary(self, first: Slots, second: Slots, rng: np.random.Generator, /) -> Slots:
        child = list(first)
        if rng.random() < 0.5:
            start, stop = sorted(rng.integers(SLOTS + 1, size=2).tolist())
            child[start:stop] = second[start:stop]
        for slot in np.flatnonzero(rng.random(SLOTS) < 1.5 / SLOTS).tolist():
            kind, width = child[slot]
            if rng.random() < 0.5:
                kind = int(rng.integers(KINDS))
            else:
                width = int(np.clip(width + rng.integers(-2, 3), 0, WIDTHS - 1))
            child[slot] = (kind, width)
        return tuple(child)

    def key(self, genome: Slots, /) -> str:
        return json.dumps([slot for slot in genome if slot[0]])

    def known(self, genome: Slots, /) -> Mapping[str, float]:
        widths = [3.0, *(2.0 ** (width / 2 + 2) for kind, width in genome if kind), 10.0]
        return {"parameters": sum(a * b for a, b in itertools.pairwise(widths))}

    def accuracy(self, genome: Slots, /) -> float:
        """Return 0..1, reproducible: rugged in the kinds and widths of neighbours, saturating in the parameters."""
        on = [slot for slot in genome if slot[0]]
        parts = [_part(self.landscape, one, other) for one, other in itertools.pairwise(on)] or [0.0]
        capacity = 1 - math.exp(-self.known(genome)["parameters"] / 400)
        return (0.3 + 0.7 * sum(sorted(parts)[-6:]) / 6) * capacity


def _part(landscape: int, one: tuple[int, int], other: tuple[int, int]) -> float:
    kinds = np.random.SeedSequence(landscape, spawn_key=(one[0], other[0])).generate_state(2)
    match = 1 - abs((one[1] - other[1] + int(kinds[1]) % 5 - 2) / (WIDTHS + 2))
    return float(kinds[0]) / 2**32 * match


class ToyGenomes:
    """The same problem for a run: genomes are JSON text."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self.slots = SlotProblem(int(space["landscape"]))

    def random(self, rng: np.random.Generator, /) -> str:
        return json.dumps(self.slots.random(rng))

    def vary(self, first: str, second: str, rng: np.random.Generator, /) -> str:
        return json.dumps(self.slots.vary(_slots(first), _slots(second), rng))

    def key(self, genome: str, /) -> str:
        return self.slots.key(_slots(genome))

    def known(self, genome: str, /) -> Mapping[str, float]:
        return self.slots.known(_slots(genome))

    def adopted(self, genome: str, /) -> str:
        if len(_slots(genome)) != SLOTS:
            raise ValueError(f"it has {len(_slots(genome))} slots, not {SLOTS}")
        return json.dumps(_slots(genome))


def _slots(text: str) -> Slots:
    return tuple((int(kind), int(width)) for kind, width in json.loads(text))


def survey(settings: str) -> Survey:
    return Survey("toy", (1, 8, 8), 10, {"train": 10}, "cpu", {"toy": "1"}, no_energy=Settings.from_json(settings).meter)


def space(found: Survey, settings: Settings) -> dict[str, Any]:
    return {"landscape": 3}


def evaluate(job: Job) -> Outcome:
    """Do a millisecond's work, and note in the file that the settings name which job was begun."""
    settings = Settings.from_json(job.settings)
    if settings.dataset:
        with open(settings.dataset, "a", encoding="ascii") as begun:
            begun.write(f"{job.task} {job.birth} {os.getpid()}\n")
    if job.task == "measure":
        return Outcome("ok", inference_time_s=job.birth + 1.0, energy_per_inference_j=(job.birth + 1.0) / 1000)
    problem = SlotProblem(3)
    accuracy = problem.accuracy(_slots(job.genome))
    curve = []
    for epoch, threshold in job.rungs:
        at = accuracy * (1 - 0.5**epoch)
        curve.append((epoch, at))
        if at < threshold:
            return Outcome("stopped", f"accuracy {at:.3f} below {threshold:.3f} at epoch {epoch}", curve=tuple(curve))
    return Outcome("ok", accuracy=accuracy, parameters=int(problem.known(_slots(job.genome))["parameters"]), curve=tuple(curve))


WORK = Work("tests.evolver.toy", ToyGenomes, space)


def request(archive: Path, *, begun: Path | str = "", **changes: Any) -> SearchRequest:
    """Return a request for a small search; evaluate notes in the file begun what it does."""
    return replace(
        SearchRequest(archive, Settings(str(begun)), SearchSettings(population=8, lifetime=40), Budget(births=30)), **changes
    )


def main() -> None:
    """Be a master: archive, file of begun jobs, births."""
    archive, begun, births = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        answer = session.evolve(request(archive, begun=begun, budget=Budget(births=births)), WORK, engine, progress="quiet")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
