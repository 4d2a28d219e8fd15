"""Store weights in fewer numbers (low rank), or in fewer bits (bfloat16)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, fx, nn

from profilers.errors import ModelError
from profilers.models.torch_errors import some
from profilers.variants.rewriting.graph import Layer, copied, rebuilt, weighted

_WIDE = 64  # fewest inputs and outputs: a narrower layer gains nothing from being split in two
_MULTIPLE = 8
_ROUNDS = 9


def low_rank(module: fx.GraphModule, share: float, /) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Return a network whose wide layers are split into two with that share fewer weights, and the changes.

    Each matrix is replaced by the nearest one of a lower rank (Eckart and Young 1936); for a convolution, the matrix
    from a window's values to the output channels. Raises ModelError if no layer is wide enough.
    """
    module = copied(module)
    changed, every = [], 0
    for node, layer in list(weighted(module)):
        every += 1
        matrix = layer.weight.detach().flatten(1)
        rows, columns = matrix.shape
        rank = int((1 - share) * rows * columns / (rows + columns)) // _MULTIPLE * _MULTIPLE
        if min(rows, columns) < _WIDE or rank < _MULTIPLE or (isinstance(layer, nn.Conv2d) and layer.groups > 1):
            continue
        module.set_submodule(str(node.target), _factored(layer, matrix, rank))
        changed.append(f"{rows}x{columns} to rank {rank}")
    if not changed:
        raise ModelError(f"no layer has {_WIDE} inputs and outputs and can lose {share:.0%} of its weights to a lower rank")
    return rebuilt(module), (f"layers of lower rank: {len(changed)} of {every}: {some(changed)}",)


def _factored(layer: Layer, matrix: Tensor, rank: int) -> nn.Sequential:
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    root = sizes[:rank].sqrt()
    first: nn.Module
    second: nn.Module
    if isinstance(layer, nn.Conv2d):
        first = nn.Conv2d(layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, layer.dilation, bias=False)
        second = nn.Conv2d(rank, layer.out_channels, 1, bias=layer.bias is not None)
    else:
        first = nn.Linear(layer.in_features, rank, bias=False)
        second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_((root[:, None] * right[:rank]).reshape(first.weight.shape))
        second.weight.copy_((left[:, :rank] * root).reshape(second.weight.shape))
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


class BFloat16(nn.Module):  # type: ignore[misc]
    """A network in bfloat16 with float32 inputs and outputs; `channels_last` stores images with the channels innermost."""

    def __init__(self, module: fx.GraphModule, /, *, channels_last: bool) -> None:
        super().__init__()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = copied(module).to(torch.bfloat16, memory_format=self.layout)

    def forward(self, images: Tensor) -> Tensor:
        narrow = images.to(torch.bfloat16)
        scores: Tensor = self.network(narrow.contiguous(memory_format=self.layout))
        return scores.float()


def in_bfloat16(network: fx.GraphModule, images: Tensor, /) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a network in bfloat16, in the image layout that is faster for a batch on this machine, and how much faster it is."""
    both = [BFloat16(network, channels_last=last).eval() for last in (False, True)]
    plain_s, last_s = _median_seconds(both, images)
    name = "channels-last" if last_s < plain_s else "contiguous"
    return both[last_s < plain_s], (f"{name} layout (channels-last takes {last_s / plain_s:.2f} of the time of contiguous here)",)


def _median_seconds(networks: Sequence[nn.Module], images: Tensor) -> list[float]:
    """Return the median time of each network for a batch; they run in turn, and first runs do not count."""
    seconds = []
    with torch.inference_mode():
        for _ in range(_ROUNDS + 1):
            row = []
            for network in networks:
                start_s = time.perf_counter()
                network(images)
                row.append(time.perf_counter() - start_s)
            seconds.append(row)
    return [float(value) for value in np.median(seconds[1:], axis=0)]
