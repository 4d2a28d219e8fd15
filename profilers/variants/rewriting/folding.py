"""Rewrite a network so that it computes the same with fewer operations."""

from __future__ import annotations

from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from profilers.variants.rewriting.graph import calls, copied, layer_of, rebuilt, shape_of

# f(max(x)) = max(f(x)) for these, so that a max pool can come first and leave them fewer values
_MONOTONE = ("relu", "tanh", "sigmoid")
_NEVER_NEGATIVE = ("relu", "sigmoid", "softmax")
_RESHAPING = ("view", "reshape", "flatten", "contiguous", "clone", "adaptive_avg_pool2d", "adaptive_max_pool2d")
_POOLS = ("max_pool2d", "avg_pool2d")


def folded(module: fx.GraphModule, /, *, pool_first: bool = True) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Return a network with the same scores, up to rounding, and the changes.

    Batch norms are folded into the convolution or linear layer before them; layers without effect in evaluation, such as
    dropout, are removed. A max pool moves before a monotone activation, to leave it fewer values, or behind it, for runtimes that
    fuse a convolution with the activation behind it.
    """
    module = copied(module).eval()
    done: Counter[str] = Counter()
    with torch.no_grad():
        for node in list(module.graph.nodes):
            if _fold_norm(module, node):
                done["batch norms folded"] += 1
            elif (name := _idle(module, node)) is not None:
                node.replace_all_uses_with(node.args[0])
                module.graph.erase_node(node)
                done[f"{name} removed"] += 1
            elif _exchanged(node, pool_first=pool_first):
                done[f"max pools moved {'before' if pool_first else 'behind'} their activation"] += 1
    return rebuilt(module), tuple(f"{what}: {count}" for what, count in done.items())


def _fold_norm(module: fx.GraphModule, node: fx.Node) -> bool:
    norm = layer_of(module, node)
    before = node.args[0] if node.args else None
    if not isinstance(norm, nn.BatchNorm2d) or not isinstance(before, fx.Node) or len(before.users) > 1:
        return False
    layer = layer_of(module, before)
    if isinstance(layer, nn.Conv2d):
        fused = fuse_conv_bn_eval(layer, norm)
    elif isinstance(layer, nn.Linear):
        fused = fuse_linear_bn_eval(layer, norm)
    else:
        return False
    module.set_submodule(str(before.target), fused)
    node.replace_all_uses_with(before)
    module.graph.erase_node(node)
    return True


def _idle(module: fx.GraphModule, node: fx.Node) -> str | None:
    """Name a layer that returns its input; None if it has an effect."""
    if isinstance(layer_of(module, node), nn.Dropout):
        return "dropouts"
    if not node.args or not isinstance(before := node.args[0], fx.Node):
        return None
    if calls(node, "relu") and calls(before, *_NEVER_NEGATIVE):
        return "rectifiers of non-negative values"
    same = shape_of(node) == shape_of(before) != ()
    if same and calls(node, *_RESHAPING):
        return "reshapings to the same shape"
    if same and calls(node, *_POOLS) and all(size == 1 for size in node.args[1]):
        return "pools of one value"
    return None


def _exchanged(node: fx.Node, *, pool_first: bool) -> bool:
    """Swap a max pool and a monotone activation that directly follow each other in the other order."""
    if not node.args or not isinstance(before := node.args[0], fx.Node) or len(before.users) > 1:
        return False
    pool, activation = (node, before) if pool_first else (before, node)
    if not calls(pool, "max_pool2d") or not calls(activation, *_MONOTONE):
        return False
    pooled, given = dict(pool.meta), before.args[0]
    node.args = (given, *node.args[1:])
    node.append(before)
    node.replace_all_uses_with(before)
    before.args = (node, *before.args[1:])
    node.meta, before.meta = (pooled, dict(pooled)) if pool_first else (dict(given.meta), pooled)
    return True
