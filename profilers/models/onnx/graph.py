"""Walk an ONNX model: all graphs, nodes and tensors, including those in control flow and attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Bits per element by type number in onnx.proto; 0 for text; unknown types are missing.
BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 8: 0, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
# Operators that pass on the numbers of their first input, rearranged or converted.
_SAME_NUMBERS = {
    "DequantizeLinear", "QuantizeLinear", "Cast", "CastLike", "Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze",
    "Flatten",
}  # fmt: skip


@dataclass(frozen=True)
class Nested:
    """A graph, and the operators of the nodes that contain it, outermost first."""

    graph: Any  # onnx.GraphProto, which has no types
    inside: tuple[str, ...]


def graphs(model: Any) -> Iterator[Nested]:
    """Yield the main graph and those in attributes of nodes; without recursion, as the file may nest them to any depth."""
    waiting = [Nested(model.graph, ())]
    while waiting:
        found = waiting.pop()
        yield found
        for node in found.graph.node:
            for attribute in node.attribute:
                inner = [attribute.g] if attribute.HasField("g") else []
                waiting += [Nested(graph, (*found.inside, node.op_type)) for graph in (*inner, *attribute.graphs)]


def tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor in a model."""
    for nested in graphs(model):
        graph = nested.graph
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from [attribute.t] if attribute.HasField("t") else []
                yield from attribute.tensors
                for sparse in [
                    *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
                    *attribute.sparse_tensors,
                ]:
                    yield from (sparse.values, sparse.indices)


def elements(tensor: Any) -> int:
    return math.prod(tensor.dims)


def size_bytes(tensor: Any) -> int:
    """Return the size of a tensor in bytes from its shape and type, however it is stored."""
    return (elements(tensor) * BITS.get(tensor.data_type, 0) + 7) // 8


class Constants:
    """The tensors of a model by the names under which nodes use them."""

    def __init__(self, model: Any) -> None:
        self.tensors: dict[str, Any] = {}
        self._made_by: dict[str, Any] = {}
        self._ends: dict[str, tuple[str, bool]] = {}
        for nested in graphs(model):
            self.tensors |= {tensor.name: tensor for tensor in nested.graph.initializer}
            for node in nested.graph.node:
                if node.op_type == "Constant":
                    value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
                    if value is not None and node.output:
                        self.tensors[node.output[0]] = value
                else:
                    self._made_by |= {name: node for name in node.output if name}

    def source(self, name: str) -> tuple[str, Any] | None:
        """Return name and tensor that a value comes from, through dequantisation and rearrangement, or None."""
        name = self._follow(name)[0]
        return (name, self.tensors[name]) if name in self.tensors else None

    def is_dequantised(self, name: str) -> bool:
        """Tell whether a value comes from integers through a DequantizeLinear."""
        return self._follow(name)[1]

    def _follow(self, name: str) -> tuple[str, bool]:
        """Return the origin of a value's numbers, and whether they were dequantised on the way; visit each value once."""
        walked: list[tuple[str, bool]] = []
        here = name
        while here not in self._ends and here not in self.tensors:
            node = self._made_by.get(here)
            if node is None or node.op_type not in _SAME_NUMBERS or not node.input:
                break
            self._ends[here] = (here, False)  # in case the values form a cycle
            walked.append((here, node.op_type == "DequantizeLinear"))
            here = node.input[0]
        end, dequantised = self._ends.get(here, (here, False))
        for passed, is_dequantised in reversed(walked):
            dequantised = dequantised or is_dequantised
            self._ends[passed] = (end, dequantised)
        return end, dequantised

    def made_by(self, name: str) -> Any | None:
        return self._made_by.get(name)
