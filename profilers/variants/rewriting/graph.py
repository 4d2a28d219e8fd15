"""Turn any network that torch.export accepts into a graph of layers that can be folded, cut and trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import fx, nn

from profilers.errors import ModelError
from profilers.models.torch_errors import in_one_line, quiet

_ATEN = torch.ops.aten
Layer: TypeAlias = nn.Conv2d | nn.Linear


def layered(network: Callable[..., object], sample: torch.Tensor, /) -> fx.GraphModule:
    """Return a copy of a network as a graph of torch layers, in evaluation mode.

    Convolutions, linear layers, batch norms and dropouts become modules, however the network expressed them; all else stays a
    function. `sample` is images [2 or more, channels, height, width]. Raises ModelError if the network cannot be exported, or
    does not have exactly one input and one output tensor.
    """
    if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
        raise ModelError("its layers cannot be changed: compress a state_dict with --factory, a candidate or a .pt2 program")
    with in_one_line("exporting the network"), quiet():
        program = torch.export.export(network, (sample,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        module = program.module(check_guards=False)
    graph = module.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    outputs = graph.output_node().args[0]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"the network takes {len(inputs)} inputs and gives {len(outputs)} outputs; compress needs one of each")
    graph.output_node().args = tuple(outputs)
    graph.set_codegen(fx.graph.CodeGen())
    known: dict[tuple[object, ...], str] = {}
    with torch.no_grad():
        for node in list(graph.nodes):
            _as_layer(module, node, known)
    graph.eliminate_dead_code()  # with the current weights of the layers
    return rebuilt(fx.GraphModule(module, graph)).eval()


def rebuilt(module: fx.GraphModule, /) -> fx.GraphModule:
    """Drop the unused parts of a changed graph, and regenerate its code."""
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.graph.lint()
    module.recompile()
    return module


def copied(module: fx.GraphModule, /) -> fx.GraphModule:
    """Return a copy with its own weights, keeping the shapes that `layered` noted on the nodes."""
    twin = copy.deepcopy(module)
    for old, new in zip(module.graph.nodes, twin.graph.nodes, strict=True):
        new.meta = dict(old.meta)
    return twin


def layer_of(module: fx.GraphModule, node: fx.Node, /) -> nn.Module | None:
    """Return the layer that a node calls; None if it calls none, or one that is used in several places."""
    if node.op != "call_module":
        return None
    places = module.graph.find_nodes(op="call_module", target=node.target)
    return module.get_submodule(str(node.target)) if len(places) == 1 else None


def weighted(module: fx.GraphModule, /) -> Iterator[tuple[fx.Node, Layer]]:
    """Yield the convolutions and linear layers, in order."""
    for node in module.graph.nodes:
        layer = layer_of(module, node)
        if isinstance(layer, Layer):
            yield node, layer


def shape_of(node: fx.Node, /) -> tuple[int, ...]:
    """Return the shape of a node's output at export, without the batch; () if unknown."""
    value = node.meta.get("val")
    return tuple(int(size) for size in value.shape[1:]) if isinstance(value, torch.Tensor) else ()


def calls(node: fx.Node, /, *names: str) -> bool:
    """Tell whether a node calls one of some ATen operators, such as "relu", in place or not."""
    return node.op == "call_function" and _name(node) in names


def _name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    return str(packet).removeprefix("aten.").removesuffix("_") if packet is not None else ""


def _as_layer(module: fx.GraphModule, node: fx.Node, known: dict[tuple[object, ...], str]) -> None:
    """Call a layer instead of a function; functions with the same weights and settings share a layer."""
    made: nn.Module | None = None
    if node.target in (_ATEN.conv2d.default, _ATEN.conv2d.padding):
        made = _convolution(module, *node.args)
    elif node.target == _ATEN.linear.default:
        made = _linear(module, *node.args)
    elif node.target == _ATEN.batch_norm.default and len(shape_of(node)) == 3:
        made = _batch_norm(module, *node.args)
    elif calls(node, "dropout", "feature_dropout", "alpha_dropout"):
        made = nn.Dropout(node.args[1])
    elif calls(node, "view", "reshape") and _flattens(node):
        node.target, node.args = _ATEN.flatten.using_ints, (node.args[0], 1)
    if made is None:
        return
    what = (node.target, str(node.args[1:]))
    if what not in known:
        known[what] = f"layer_{node.name}"  # not a name from the network, which may hold weights that others read
        module.add_submodule(known[what], made)
    name = known[what]
    with module.graph.inserting_before(node):
        called = module.graph.call_module(name, (node.args[0],))
    called.meta = dict(node.meta)
    node.replace_all_uses_with(called)
    module.graph.erase_node(node)


def _flattens(node: fx.Node) -> bool:
    given = shape_of(node.args[0])
    return len(given) > 1 and shape_of(node) == (math.prod(given),)


def _tensor(module: fx.GraphModule, node: object) -> torch.Tensor | None:
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    found: object = module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found.detach().clone() if isinstance(found, torch.Tensor) else None


def _convolution(
    module: fx.GraphModule, images: fx.Node, weight: fx.Node, bias: object = None, stride: object = 1, padding: object = 0,
    dilation: object = 1, groups: int = 1,
) -> nn.Module | None:  # fmt: skip
    kernel, shift = _tensor(module, weight), _tensor(module, bias)
    if kernel is None or (shift is None) != (bias is None):
        return None
    outputs, inputs, *size = kernel.shape
    made = nn.Conv2d(
        inputs * groups, outputs, tuple(size), _pair(stride), _pair(padding), _pair(dilation), groups, bias is not None,
        device="meta",
    )  # fmt: skip
    made.weight = nn.Parameter(kernel)
    if shift is not None:
        made.bias = nn.Parameter(shift)
    return made


def _pair(value: object) -> object:
    return tuple(value) * (3 - len(value)) if isinstance(value, list | tuple) else value


def _linear(module: fx.GraphModule, given: fx.Node, weight: fx.Node, bias: object = None) -> nn.Module | None:
    matrix, shift = _tensor(module, weight), _tensor(module, bias)
    if matrix is None or (shift is None) != (bias is None):
        return None
    made = nn.Linear(matrix.shape[1], matrix.shape[0], bias is not None, device="meta")
    made.weight = nn.Parameter(matrix)
    if shift is not None:
        made.bias = nn.Parameter(shift)
    return made


def _batch_norm(module: fx.GraphModule, given: fx.Node, *arguments: object) -> nn.Module | None:
    weight, bias, mean, variance = (_tensor(module, node) for node in arguments[:4])
    _, momentum, epsilon = arguments[4:7]
    if mean is None or variance is None:
        return None
    made = nn.BatchNorm2d(len(mean), eps=epsilon, momentum=momentum, affine=weight is not None)
    made.running_mean, made.running_var = mean, variance
    if weight is not None and bias is not None:
        made.weight, made.bias = nn.Parameter(weight), nn.Parameter(bias)
    return made.to(mean.device)
