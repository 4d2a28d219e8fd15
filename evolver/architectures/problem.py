"""Define the networks of the paper as a search problem, with genomes as JSON text, as in the archive and the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evolver.architectures.features import features
from evolver.architectures.genome import Genome
from evolver.architectures.normal_form.canonical import canonical_key
from evolver.architectures.shapes import describe, repair
from evolver.architectures.space import Space, suited
from evolver.architectures.variation import crossover, mutate, random_genome
from evolver.jobs import Settings, Survey

# How often two parents are crossed, instead of mutating only one; chosen by us.
_CROSSED = 0.5
_KEPT = 1024


class Architectures:
    """All networks of a space."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self.space = Space(**space)
        self._genomes: dict[str, Genome] = {}  # genomes read or written last, as the same parents recur

    def random(self, rng: np.random.Generator, /) -> str:
        return self._written(random_genome(self.space, rng))

    def vary(self, first: str, second: str, rng: np.random.Generator, /) -> str:
        child = self._read(first)
        if rng.random() < _CROSSED:
            child = crossover(child, self._read(second), self.space, rng)
        return self._written(mutate(child, self.space, rng))

    def key(self, genome: str, /) -> str:
        return canonical_key(self._read(genome), self.space)

    def known(self, genome: str, /) -> Mapping[str, float]:
        description = describe(self._read(genome), self.space)
        return {"parameters": description.parameters, "flops": description.flops}

    def features(self, genome: str, /) -> Sequence[float]:
        return features(self._read(genome), self.space)

    def adopted(self, genome: str, /) -> str:
        """Convert a genome of another space to this one. Raises ValueError if the text is not a genome."""
        return self._written(repair(self._read(genome), self.space))

    def _read(self, text: str) -> Genome:
        return self._genomes.get(text) or self._kept(text, Genome.from_json(text))

    def _written(self, genome: Genome) -> str:
        text = genome.to_json()
        self._kept(text, genome)
        return text

    def _kept(self, text: str, genome: Genome) -> Genome:
        if len(self._genomes) >= _KEPT:
            del self._genomes[next(iter(self._genomes))]
        self._genomes[text] = genome
        return genome


def space_for(survey: Survey, settings: Settings) -> dict[str, Any]:
    """Return the space that suits a data set and a device, as a JSON object."""
    space = suited(
        survey.input_shape,
        survey.classes,
        training_images=survey.images["train"],
        cuda=survey.cuda,
        feature_slots=settings.feature_slots,
        classifier_slots=settings.classifier_slots,
        max_epochs=settings.max_epochs,
    )
    return space.to_dict()
