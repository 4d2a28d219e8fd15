"""Cut a share of the channels out of a network, which then needs fine-tuning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn

from profilers.errors import ModelError
from profilers.models.torch_errors import in_one_line, quiet, some
from profilers.variants.rewriting.channels import ChannelSource, sources
from profilers.variants.rewriting.graph import Layer, copied, weighted

# Vector units and cache lines hold powers of two; odd widths ran three times slower (Torch-Pruning issue 38).
_MULTIPLE = 8


def is_sequential(module: fx.GraphModule, /) -> bool:
    """Tell whether every layer but the last can be cut without affecting another layer's width."""
    free, bound = sources(module)
    return bool(free) and not bound


def cut(module: fx.GraphModule, share: float, sample: Tensor, /) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Return a network without that share of each layer's channels, the weakest ones, and the changes.

    Widths become multiples of 8, at least 8. A filter's strength is the sum of its weights' magnitudes (Li et al. 2017, section
    3.1), taken after folding the batch norm behind it. Layers tied by additions are cut by torch-pruning.
    ModelError if nothing can be cut.
    """
    module = copied(module)
    before = {str(node.target): _width(layer) for node, layer in weighted(module)}
    if is_sequential(module):
        _cut_alone(module, share)
    else:
        _cut_tied(module, share, sample)
    after = {str(node.target): _width(layer) for node, layer in weighted(module)}
    changed = [f"{before[name]} to {after[name]}" for name in before if before[name] != after[name]]
    if not changed:
        raise ModelError(f"no layer can lose {share:.0%} of its channels and keep a multiple of {_MULTIPLE}")
    return module, (f"channels cut in {len(changed)} of {len(before) - 1} layers: {some(changed)}",)


def kept_width(width: int, share: float, /) -> int:
    """Return how many channels of a width stay: the nearest multiple of 8, the larger of two, and never 0.

    >>> [kept_width(width, 0.5) for width in (6, 8, 24, 64)]
    [6, 8, 16, 32]
    """
    multiples = max(1, int((1 - share) * width / _MULTIPLE + 0.5))
    return min(width, multiples * _MULTIPLE)


def _width(layer: Layer) -> int:
    return int(layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features)


def _cut_alone(module: fx.GraphModule, share: float) -> None:
    free, _ = sources(module)
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}
    for source in free:
        keep = _strongest(module, source, share)
        outputs[source.layer] = keep
        for reader in source.readers:
            mask = inputs.setdefault(reader.layer, torch.ones(_taken(module.get_submodule(reader.layer)), dtype=torch.bool))
            mask[reader.offset : reader.offset + len(keep) * reader.spread] = keep.repeat_interleave(reader.spread)
    every: Mapping[str, Tensor] = defaultdict(lambda: torch.tensor([]))
    for name in {*outputs, *inputs}:
        _narrow(module.get_submodule(name), outputs.get(name, every[name]), inputs.get(name, every[name]))


def _taken(layer: nn.Module) -> int:
    match layer:
        case nn.Conv2d():
            return int(layer.in_channels)
        case nn.Linear():
            return int(layer.in_features)
        case _:
            return int(layer.num_features)  # a batch norm


def _strongest(module: fx.GraphModule, source: ChannelSource, share: float) -> Tensor:
    layer = module.get_submodule(source.layer)
    strength = layer.weight.detach().abs().flatten(1).sum(1)
    for reader in source.readers:
        norm = module.get_submodule(reader.layer)
        if isinstance(norm, nn.BatchNorm2d):
            mine = slice(reader.offset, reader.offset + len(strength))
            strength = strength / (norm.running_var[mine] + norm.eps).sqrt()
            strength = strength * norm.weight.detach()[mine].abs() if norm.affine else strength
    keep = torch.zeros(len(strength), dtype=torch.bool)
    keep[strength.topk(kept_width(len(strength), share)).indices] = True
    return keep


def _narrow(layer: nn.Module, outputs: Tensor, inputs: Tensor) -> None:
    """Keep the outputs and inputs of a layer marked true; an empty tensor keeps all."""
    if isinstance(layer, nn.BatchNorm2d):
        for name in ("weight", "bias", "running_mean", "running_var"):
            if (tensor := getattr(layer, name)) is not None:
                _replace(layer, name, tensor[inputs])
        layer.num_features = int(inputs.sum())
        return
    weight = layer.weight.detach()
    weight = weight[outputs] if len(outputs) else weight
    _replace(layer, "weight", weight[:, inputs] if len(inputs) else weight)
    if layer.bias is not None and len(outputs):
        _replace(layer, "bias", layer.bias.detach()[outputs])
    if isinstance(layer, nn.Conv2d):
        layer.out_channels, layer.in_channels = layer.weight.shape[:2]
    else:
        layer.out_features, layer.in_features = layer.weight.shape


def _replace(layer: nn.Module, name: str, tensor: Tensor) -> None:
    tensor = tensor.detach().clone()
    setattr(layer, name, nn.Parameter(tensor) if name in layer._parameters else tensor)


def _cut_tied(module: fx.GraphModule, share: float, sample: Tensor) -> None:
    import torch_pruning

    last = [layer for node, layer in weighted(module)][-1]
    with in_one_line("torch-pruning"), quiet():
        pruner = torch_pruning.pruner.MagnitudePruner(
            module, sample, importance=torch_pruning.importance.MagnitudeImportance(p=1), pruning_ratio=share,
            ignored_layers=[last], round_to=_MULTIPLE,
        )  # fmt: skip
        pruner.step()
