"""Determine the precision in which an ONNX model computes, from the input types of its products."""

from __future__ import annotations

from typing import Any

from profilers.models.onnx.graph import BITS, Constants, graphs
from profilers.models.onnx.parameters import WEIGHTS

_NAMES = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16"}


def precision_of(model: Any, constants: Constants) -> str:
    """Return the type of the weights of convolutions and products: fp32, fp16, int8, or several joined as fp32+int8."""
    found = set()
    for nested in graphs(model):
        for node in nested.graph.node:
            for place in WEIGHTS.get(node.op_type, ()):
                name = node.input[place] if place < len(node.input) else ""
                source = constants.source(name) if name else None
                if source is not None:
                    kind = source[1].data_type
                    found.add(_NAMES.get(kind) or f"int{BITS.get(kind, 8)}")
    return "+".join(sorted(found)) or "fp32"
