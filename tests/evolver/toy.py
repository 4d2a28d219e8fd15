"""A small architecture problem with a known answer, and what a worker does for it: quick, deterministic, without torch."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
