"""Count the parameters of an ONNX model: the tensors that its convolutions and products use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from profilers.models.onnx.graph import Constants, elements, graphs, size_bytes
from profilers.models.parameters import Parameters

# By operator: the inputs that are weights and biases. Quantised operators have scales and zero points between them.
_LEARNED = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (0, 1, 2), "MatMul": (0, 1), "FusedConv": (1, 2, 3), "FusedMatMul": (0, 1),
    "FusedGemm": (0, 1, 2), "GemmFastGelu": (1, 2), "ConvInteger": (1,), "MatMulInteger": (0, 1), "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3), "QGemm": (3, 6), "MatMulIntegerToFloat": (1, 6), "DynamicQuantizeMatMul": (1, 4),
    "RNN": (1, 2, 3), "GRU": (1, 2, 3), "LSTM": (1, 2, 3, 7), "DeformConv": (1, 3), "Einsum": (0, 1, 2, 3),
    "BatchNormalization": (1, 2), "LayerNormalization": (1, 2), "RMSNormalization": (1,), "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2), "SimplifiedLayerNormalization": (1,), "SkipLayerNormalization": (2, 3, 4), "GroupNorm": (1, 2),
    "PRelu": (1,), "Gather": (0,), "Attention": (1, 2), "NhwcConv": (1, 2),
}  # fmt: skip
# The weights, without biases, of operators that multiply.
WEIGHTS = {
    name: places[:1]
    for name, places in _LEARNED.items()
    if "Conv" in name or name in ("RNN", "GRU", "LSTM", "QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "GemmFastGelu")
} | {
    "MatMul": (0, 1),
    "Gemm": (0, 1),
    "FusedGemm": (0, 1),
    "FusedMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
}
_PRODUCTS = {"Conv", "ConvTranspose", "MatMul", "Gemm", "MatMulInteger", "Einsum", "FusedMatMul"}
_STATISTICS: dict[str, tuple[int, ...]] = {"BatchNormalization": (3, 4)}
_FLOATS = {1, 10, 11, 16, 17, 18, 19, 20, 23}
_PACKED = {"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE", "MoE"}


def count_parameters(model: Any, constants: Constants) -> Parameters:
    """Count the elements of distinct tensors that feed convolutions, products, normalisation and look-ups.

    A quantised tensor counts as the one it represents; scales, zero points and shapes do not count. Biases that a product
    leaves to an Add do count. The file does not state which tensors take a gradient.
    """
    packed = sorted({node.op_type for nested in graphs(model) for node in nested.graph.node if node.op_type in _PACKED})
    if packed:
        return Parameters(None, None, None, None, f"{', '.join(packed)} keep their weights packed")
    learned = dict(_learned(model, constants))
    if not learned:
        return Parameters(None, None, None, None, "no tensor in the file feeds a convolution or a product")
    statistics = {name: tensor for name, tensor in _of(model, constants, _STATISTICS) if name not in learned}
    return Parameters(
        total=sum(map(elements, learned.values())),
        trainable=None,
        buffers=sum(map(elements, statistics.values())),
        bytes=sum(map(size_bytes, (*learned.values(), *statistics.values()))),
    )


def _learned(model: Any, constants: Constants) -> Iterator[tuple[str, Any]]:
    yield from _of(model, constants, _LEARNED)
    for nested in graphs(model):
        for node in nested.graph.node:
            if node.op_type == "Add" and any(_is_product(constants, name) for name in node.input):
                yield from _found(constants, node.input)


def _is_product(constants: Constants, name: str) -> bool:
    node = constants.made_by(name)
    return node is not None and node.op_type in _PRODUCTS


def _of(model: Any, constants: Constants, places: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, Any]]:
    for nested in graphs(model):
        for node in nested.graph.node:
            yield from _found(
                constants, [node.input[place] for place in places.get(node.op_type, ()) if place < len(node.input)], node.op_type
            )


def _found(constants: Constants, names: Any, operator: str = "") -> Iterator[tuple[str, Any]]:
    for name in names:
        source = constants.source(name) if name else None
        if source is None:
            continue
        # integers are weights if they are dequantised, or if the operator takes integers
        whole = source[1].data_type not in _FLOATS
        if (
            not whole
            or constants.is_dequantised(name)
            or "Q" in operator
            or "Integer" in operator
            or operator == "DynamicQuantizeMatMul"
        ):
            yield source


def left_out(model: Any, constants: Constants) -> str | None:
    """State how many decimal numbers of a model are not counted as parameters; None if there are none."""
    counted = dict(_learned(model, constants)) | dict(_of(model, constants, _STATISTICS))
    # scales of quantisation are single numbers, or beside a tensor that counts
    quantised = re.compile(r"[Qq]uantize|^Q|Integer")
    scales = {
        name for nested in graphs(model) for node in nested.graph.node if quantised.search(node.op_type) for name in node.input
    }
    others = [tensor for name, tensor in constants.tensors.items() if name not in counted and name not in scales]
    numbers = sum(elements(tensor) for tensor in others if tensor.data_type in _FLOATS and elements(tensor) > 1)
    if not numbers:
        return None
    return f"{numbers:,} floating-point numbers feed no convolution, product, normalisation or look-up and are not parameters"
