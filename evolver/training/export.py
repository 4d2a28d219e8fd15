"""Save a trained network as a program and as weights, and check that the saved files give the same logits."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from evolver.errors import EvolverError


class OtherLogitsError(EvolverError):
    """A saved network differs from the trained one."""


SAME = 1e-4
"""Largest difference of logits, or share of the largest logit if that is above 1."""


def save(network: nn.Module, sample: torch.Tensor, path: Path, /) -> float:
    """Write `path`.pt2 (torch.export, any batch size) and `path`.pt (state_dict); return the largest difference of logits.

    `sample` is normalised images, float32 [2 or more, channels, height, width], on the CPU, to which the network is moved.
    Both files appear whole or not at all. Raises EvolverError if they cannot be written, or give other logits.
    """
    network = network.to("cpu", memory_format=torch.contiguous_format).eval()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            program, weights = Path(folder, f"{path.name}.pt2"), Path(folder, f"{path.name}.pt")
            dynamic = ({0: torch.export.Dim("batch")},)
            torch.export.save(torch.export.export(network, (sample,), dynamic_shapes=dynamic), program)
            torch.save(network.state_dict(), weights)
            difference = _difference(network, sample, program, weights)
            for file in (program, weights):
                os.replace(file, path.parent / file.name)
    except OSError as error:
        raise EvolverError(f"{path}: the network cannot be saved ({error.strerror or error})") from error
    return difference


def _difference(network: nn.Module, sample: torch.Tensor, program: Path, weights: Path) -> float:
    loaded = torch.export.load(program).module()
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
