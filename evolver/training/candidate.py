"""Save the network of a candidate, and rebuild it from its archive or from the manifest of a winner."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from evolver.architectures.genome import Genome
from evolver.architectures.normal_form.canonical import canonical
from evolver.architectures.normal_form.redundancy import idle_slots
from evolver.architectures.space import Space
from evolver.candidates import candidate, weights_of
from evolver.errors import EvolverError
from evolver.training.network import build
from profilers.models.programs.loading import load_exported

SAME = 1e-4
"""Largest difference of logits, or share of the largest logit if that is above 1."""


def candidate_network(archive_path: str | Path, candidate_id: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return the network of a candidate in an archive, in normal form, and the shape of its images.

    It has its trained weights if they were kept (as for candidates near the front), and otherwise fresh ones; its
    attribute `weights` is "trained" or "fresh".
    Raises EvolverError if the archive cannot be read, or does not contain the candidate.
    """
    path = Path(archive_path)
    found = candidate(path, candidate_id)
    try:
        network, shape = _built(found.genome, found.settings["space"])
    except (ValueError, TypeError, KeyError) as error:
        raise EvolverError(f"{path}: candidate {candidate_id} cannot be built ({error})") from None
    kept = weights_of(path, candidate_id)
    network.weights = "trained" if load_weights(network, kept) else "fresh"
    return network, shape


def drawn_network(archive_path: str | Path, candidate_id: str) -> tuple[nn.Module | None, tuple[str, ...]]:
    """Return the network as its genome was drawn, with fresh weights, and its slots that do nothing; None if there are none.

    Raises the errors of `candidate_network`.
    """
    path = Path(archive_path)
    found = candidate(path, candidate_id)
    try:
        space = Space(**found.settings["space"])
        genome = Genome.from_json(found.genome)
        idle = idle_slots(genome, space)
        return (build(genome, space).eval() if idle else None), idle
    except (ValueError, TypeError, KeyError) as error:
        raise EvolverError(f"{path}: candidate {candidate_id} cannot be built ({error})") from None


def load_weights(network: nn.Module, path: Path) -> bool:
    """Load weights kept by training; return False if there are none. Raises EvolverError if they are damaged or do not fit."""
    if not path.is_file():
        return False
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch and pickle raise many kinds of errors for a damaged file
        said = " ".join(str(error).split())[:200]
        raise EvolverError(f"{path}: not the weights of this candidate ({said}); remove it to continue without it") from None
    return True


def keep_weights(network: nn.Module, path: Path) -> str:
    """Save weights in the master's folder; return "kept", or why not, as a failure here must not lose the candidate."""
    part = path.with_name(f"{path.name}.part")
    try:
        if not path.parent.is_dir():
            return "not kept: the archive's folder is not visible from this machine"
        content = BytesIO()  # torch reports a full disk as an error of its own
        torch.save({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, content)
        part.write_bytes(content.getbuffer())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        return f"not kept: {' '.join(str(error).split())[:200]}"
    return "kept"


def from_manifest(path: str | Path) -> nn.Module:
    """Build the network in a manifest of `ecosel evolve --final`, with fresh weights. Raises a one-line EvolverError."""
    try:
        manifest: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
        network, _ = _built(json.dumps(manifest["genome"]), manifest["space"])
    except FileNotFoundError:
        named = '--factory-args \'{"manifest": "run-22.json"}\''
        raise EvolverError(f"{path}: no such manifest; `ecosel evolve --final` saves it beside the weights; or {named}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EvolverError(f"{path}: not a manifest of `ecosel evolve --final` ({type(error).__name__}: {error})") from None
    return network


def _built(genome: str, space: dict[str, Any]) -> tuple[nn.Module, tuple[int, int, int]]:
    own = Space(**space)
    return build(canonical(Genome.from_json(genome), own), own), own.input_shape


class OtherLogitsError(EvolverError):
    """A saved network differs from the trained one."""


class UnsavedError(EvolverError):
    """The disk took no network; that says nothing about the candidate."""


def save(network: nn.Module, sample: torch.Tensor, path: Path, /) -> float:
    """Write `path`.pt2 (torch.export, any batch size) and `path`.pt (state_dict); return the largest difference of logits.

    `sample` is normalised images, float32 [2 or more, channels, height, width], on the CPU, to which the network is moved.
    Both files appear whole or not at all. Raises UnsavedError if they cannot be written, OtherLogitsError if they differ.
    """
    network = network.to("cpu", memory_format=torch.contiguous_format).eval()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(".part", f".{path.name}.", path.parent) as folder:
            program, weights = Path(folder, f"{path.name}.pt2"), Path(folder, f"{path.name}.pt")
            dynamic = ({0: torch.export.Dim("batch")},)
            # through memory, as torch reports a full disk as an error of its own
            torch.export.save(torch.export.export(network, (sample,), dynamic_shapes=dynamic), content := BytesIO())
            program.write_bytes(content.getbuffer())
            torch.save(network.state_dict(), content := BytesIO())
            weights.write_bytes(content.getbuffer())
            difference = _difference(network, sample, program, weights)
            for file in (program, weights):
                os.replace(file, path.parent / file.name)
    except OSError as error:
        raise UnsavedError(f"{path}: the network cannot be saved ({error.strerror or error})") from error
    return difference


def _difference(network: nn.Module, sample: torch.Tensor, program: Path, weights: Path) -> float:
    loaded = load_exported(program).module()
    with torch.no_grad():
        logits = network(sample)
        # also with another batch size, as the program must not be fixed to one
        differences = [float((loaded(sample[:size]) - logits[:size]).abs().max()) for size in (len(sample), 1)]
    difference = max(differences)
    state = torch.load(weights, weights_only=True)
    same_weights = all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    if not same_weights or not difference <= SAME * max(1.0, float(logits.abs().max())):
        raise OtherLogitsError(f"{program.name}: the saved network's logits differ by {difference:.2g}; it is not kept")
    return difference
