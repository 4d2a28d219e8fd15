"""Count the parameters of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Parameters:
    """Numbers of elements of distinct tensors: parameters, those that take a gradient, buffers; and the bytes of all.

    A count that is hidden is None, never 0, and `reason` says why.
    """

    total: int | None
    trainable: int | None
    buffers: int | None
    bytes: int | None
    reason: str | None = None


def count_parameters(module: object) -> Parameters:
    """Count the parameters of a torch module of any kind; a shared tensor counts once."""
    import torch

    if not isinstance(module, torch.nn.Module):
        return Parameters(None, None, None, None, "an AOTInductor package keeps its weights inside the native library")
    if is_lazy(module):
        return Parameters(None, None, None, None, "a lazy layer has no shape before its first input")
    parameters = _distinct(module.parameters())
    buffers = _distinct(module.buffers(), without=parameters)
    elements = sum(tensor.numel() for tensor in buffers)
    if reason := _hidden(module, parameters, elements):
        return Parameters(None, None, elements, None, reason)
    return Parameters(
        total=sum(tensor.numel() for tensor in parameters),
        trainable=sum(tensor.numel() for tensor in parameters if tensor.requires_grad),
        buffers=elements,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *buffers)),
    )


def is_lazy(module: Module) -> bool:
    """Tell whether a layer gets its shape only from its first input."""
    import torch

    tensors = (*module.parameters(), *module.buffers())
    return any(isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin) for tensor in tensors)


def _distinct(tensors: Iterable[Tensor], *, without: Iterable[Tensor] = ()) -> list[Tensor]:
    seen = {_place(tensor) for tensor in without}
    found = []
    for tensor in tensors:
        if (place := _place(tensor)) not in seen:
            seen.add(place)
            found.append(tensor)
    return found


def _place(tensor: Tensor) -> tuple[int, ...]:
    """Identify a tensor by its memory, as TorchScript returns a new object for every name of a shared tensor."""
    try:
        address = tensor.data_ptr()
    except RuntimeError:  # meta, sparse and other tensors without one storage
        address = 0
    return (address, tensor.numel()) if address else (id(tensor),)


def _hidden(module: object, parameters: list[Tensor], buffered: int) -> str | None:
    """State what hides weights from `parameters()`; None if nothing seems to."""
    import torch

    assert isinstance(module, torch.nn.Module)
    if isinstance(module, torch.jit.ScriptModule):
        if " quantized::" in str(module.inlined_graph):
            return "quantised layers hide packed weights"
        if not parameters and _has_constants(module):
            return "the program is frozen: its weights are constants"
        return None
    for layer in module.modules():
        if any(isinstance(value, torch.ScriptObject) for value in vars(layer).values()):
            return "quantised layers hide packed weights"
        if any(name in layer._buffers for name in ("qweight", "packed_weight")):
            return "quantised layers keep packed weights in buffers"
    if any(tensor.dtype == torch.uint8 for tensor in parameters):
        return "quantised layers pack several weights into a byte"
    if not parameters and buffered:
        return "the weights are in buffers or constants"
    return None


def _has_constants(module: object) -> bool:
    graph = module.inlined_graph  # type: ignore[attr-defined]  # kept by name: its nodes die with it
    constants = graph.findAllNodes("prim::Constant")
    return any(node.hasAttribute("value") and node.kindOf("value") == "t" and node.t("value").numel() > 1 for node in constants)
