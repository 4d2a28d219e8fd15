"""Find the readers of each channel of a layer, so that both can be cut together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx, nn

from profilers.variants.rewriting.graph import calls, layer_of, shape_of, weighted

# operators that leave every channel in its position
_CHANNELWISE = (
    "relu", "leaky_relu", "elu", "tanh", "sigmoid", "hardtanh", "relu6", "silu", "gelu", "hardswish", "hardsigmoid",
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "contiguous", "clone",
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """A layer that reads another's channels: channel c feeds its `spread` inputs starting at offset + c * spread."""

    layer: str
    spread: int
    offset: int


@dataclass(frozen=True)
class ChannelSource:
    """A convolution or linear layer whose output channels can be cut, and all their readers."""

    layer: str
    readers: tuple[Reader, ...]


def sources(module: fx.GraphModule, /) -> tuple[list[ChannelSource], list[str]]:
    """Return the layers whose channels can be cut by changing only their readers, and the names of the others but the last.

    The last layers give the scores, and keep every channel. Others are tied to one another, for instance by an addition.
    """
    free, bound = [], []
    for node, layer in weighted(module):
        if _gives_scores(node):
            continue
        readers = None if isinstance(layer, nn.Conv2d) and layer.groups > 1 else _readers(module, node)
        if readers is None:
            bound.append(str(node.target))
        else:
            free.append(ChannelSource(str(node.target), tuple(readers)))
    return free, bound


def _gives_scores(node: fx.Node) -> bool:
    """Tell whether a layer's output reaches the network's output through no other weighted layer."""
    return any(user.op == "output" or (user.op != "call_module" and _gives_scores(user)) for user in node.users)


def _readers(module: fx.GraphModule, node: fx.Node, spread: int = 1, offset: int = 0) -> list[Reader] | None:
    found: list[Reader] = []
    for user in node.users:
        if (step := _step(module, node, user, spread, offset)) is None:
            return None
        reader, passed = step
        found += [reader] if reader else []
        if passed is not None:
            behind = _readers(module, user, *passed)
            if behind is None:
                return None
            found += behind
    return found


def _step(
    module: fx.GraphModule, node: fx.Node, user: fx.Node, spread: int, offset: int
) -> tuple[Reader | None, tuple[int, int] | None] | None:
    """Return the readers of the channels at a node, and the channels' positions after it; None if they cannot be traced."""
    layer = layer_of(module, user)
    reader = Reader(str(user.target), spread, offset)
    if isinstance(layer, nn.Dropout) or calls(user, *_CHANNELWISE):
        return None, (spread, offset)
    if isinstance(layer, nn.BatchNorm2d):
        return reader, (spread, offset)
    if isinstance(layer, nn.Conv2d) and layer.groups == 1:
        return reader, None
    if isinstance(layer, nn.Linear) and len(shape_of(node)) == 1:
        return reader, None
    if calls(user, "flatten") and len(shape_of(user)) == 1 and shape_of(node):
        values = math.prod(shape_of(node)[1:])
        return None, (spread * values, offset * values)
    if calls(user, "mean") and len(shape_of(node)) == 3 and _over_places(user.args):
        return None, (spread, offset)
    if calls(user, "cat") and _joins_channels(node, user):
        return None, (spread, offset + sum(_before(node, user)))
    return None


def _joins_channels(node: fx.Node, joined: fx.Node) -> bool:
    """Tell whether a concatenation is along the channels, with a node as one of its inputs."""
    axes = len(shape_of(node)) + 1
    axis = joined.args[1] if len(joined.args) > 1 else 0
    return axes in (2, 4) and isinstance(axis, int) and axis % axes == 1 and list(joined.args[0]).count(node) == 1


def _over_places(arguments: tuple[object, ...]) -> bool:
    axes = arguments[1] if len(arguments) > 1 else ()
    return isinstance(axes, list | tuple) and {axis % 4 for axis in axes} == {2, 3}


def _before(node: fx.Node, joined: fx.Node) -> Iterator[int]:
    """Yield the number of channels of each input of a concatenation before a node."""
    for other in joined.args[0]:
        if other is node:
            return
        yield shape_of(other)[0]
