"""Search for networks with an asynchronous genetic algorithm, and fill an archive with the candidates.

The rooms, in the order of the flow:

- architectures: genomes, the space they are drawn from, their variation and normal form (normal_form)
- search: ask for the next birth, tell an outcome; knows no process, file or clock
- workers: run a job in a child process, here or on a cluster
- training: train, score and measure one candidate (the only room with torch)
- archive, candidates: the one file of a run, written by its master, read by anyone; the only modules with SQLite
- run: begin or resume a search, and keep every worker busy until its budget is spent; winners: variants, manifests, kept weights
- cli: the command `evolve`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module


def candidate(manifest: str | None = None, *, weights_file: str | None = None) -> Module:
    """Build the network of a winner: `ecosel profile run-22.pt --factory evolver:candidate`.

    The manifest is the file that `ecosel evolve --final` writes beside the weights, run-22.json; if it is not given, it is
    found by the name of the weights.
    """
    from pathlib import Path

    from evolver.training.candidate import from_manifest

    if manifest is None and weights_file is None:
        raise ValueError('name the manifest: --factory-args \'{"manifest": "run-22.json"}\'')
    return from_manifest(manifest or Path(str(weights_file)).with_suffix(".json"))
