"""Count the floating-point operations of an ONNX graph from its shapes; a multiply-add counts as two.

As in PyTorch's counter, only matrix products, convolutions, recurrent layers and attention count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from profilers.errors import Uncountable
from profilers.models.onnx.graph import graphs
from profilers.models.onnx.shapes import Shape

Formula = Callable[[Any, Sequence[Shape | None], Sequence[Shape | None]], int]

# Names that suggest a product but have no formula here, in any domain that is run.
_HEAVY = re.compile(
    r"conv|gemm|matmul|attention|lstm|gru|rnn|einsum|dft|stft|moe|transformer|decoder|beam|greedy|svm|linear(class|regr)|det$",
    re.IGNORECASE,
)
_LIGHT = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


def count_flops(model: Any, shapes: Mapping[str, Shape]) -> tuple[int | None, str | None]:
    """Return the operations of one call from the shapes of all values, or None and why they cannot be counted."""
    total = 0
    uncountable: set[str] = set()
    for nested in graphs(model):
        for node in nested.graph.node:
            try:
                flops = _of_node(node, shapes)
            except Uncountable as error:
                uncountable.add(str(error))
                continue
            if flops and nested.inside:
                uncountable.add(f"{node.op_type} inside {nested.inside[-1]}, which runs as often as its input demands")
            total += flops
    if uncountable:
        more = f" and {len(uncountable) - 3} more" if len(uncountable) > 3 else ""
        return None, f"operators that cannot be counted: {', '.join(sorted(uncountable)[:3])}{more}"
    if not total:
        return None, "the model has no matrix products or convolutions, and nothing else is counted"
    return total, None


def shapes_needed(model: Any, shapes: Mapping[str, Shape]) -> list[str]:
    """Return the values of the main graph whose shapes are needed but unknown."""
    nodes = [node for node in model.graph.node if node.op_type in _FORMULAS]
    names = (name for node in nodes for name in (*node.input, *node.output) if name and name not in shapes)
    return list(dict.fromkeys(names))


def _of_node(node: Any, shapes: Mapping[str, Shape]) -> int:
    formula = _FORMULAS.get(node.op_type)
    if formula is None:
        if node.op_type not in _LIGHT and (node.domain == "ai.onnx.ml" or _HEAVY.search(node.op_type)):
            raise Uncountable(node.op_type[:80])
        return 0
    inputs = [shapes.get(name) if name else None for name in node.input]
    outputs = [shapes.get(name) if name else None for name in node.output]
    try:
        return formula(node, inputs, outputs)
    except (TypeError, IndexError, ValueError):
        raise Uncountable(f"{node.op_type[:80]}, whose shapes the file does not state") from None


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), default)


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError("an unknown shape")
    return shape


def _convolution(image: int, weight: int, *, transposed: bool = False) -> Formula:
    def formula(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
        kernel, places = _known(inputs[weight]), _known(inputs[image] if transposed else outputs[0])
        return 2 * math.prod(kernel) * places[0] * math.prod(places[2:])

    return formula


def _product(left: int, right: int) -> Formula:
    def formula(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
        # the sum is over the last size of the left factor, whether it is a matrix or a vector
        _known(inputs[right])
        return 2 * math.prod(_known(outputs[0])) * _known(inputs[left])[-1]

    return formula


def _gemm(left: int, transposed: str = "transA") -> Formula:
    def formula(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
        rows, columns = _known(inputs[left])
        return 2 * math.prod(_known(outputs[0])) * (rows if _attribute(node, transposed, 0) else columns)

    return formula


def _fused_product(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    left = _known(inputs[0])
    return 2 * math.prod(_known(outputs[0])) * left[-2 if _attribute(node, "transA", 0) else -1]


def _recurrent(gates: int) -> Formula:
    def formula(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
        sequence, batch, wide = _known(inputs[0])
        if _attribute(node, "layout", 0):
            batch, sequence = sequence, batch
        directions, all_gates, width = _known(inputs[1])
        if all_gates % gates or width != wide:
            raise ValueError("weights of other gates")
        hidden = all_gates // gates
        return 2 * sequence * batch * directions * all_gates * (wide + hidden)

    return formula


def _attention(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """Count both products in ONNX 23's Attention: [batch, heads, sequence, size], or with the heads in the last size."""
    if node.domain not in ("", "ai.onnx"):
        raise Uncountable(f"{node.op_type} of {node.domain}")
    query, value, out = _known(inputs[0]), _known(inputs[2]), _known(outputs[0])
    past = inputs[4][-2] if len(inputs) > 4 and inputs[4] else 0
    if len(query) == 4:
        return 2 * math.prod(query) * (value[2] + past) + 2 * math.prod(out) * (value[2] + past)
    return 2 * (math.prod(query) + math.prod(out)) * (value[1] + past)


def _einsum(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """Count an einsum of two factors: the product of all sizes in the equation."""
    text = next(one.s.decode() for one in node.attribute if one.name == "equation").replace(" ", "")
    terms = text.partition("->")[0].split(",")
    if len(terms) > 2 or "." in text:
        raise Uncountable(f"Einsum {text[:40]}")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, inputs, strict=True):
        sizes |= dict(zip(term, _known(shape), strict=True))
    return 2 * math.prod(sizes.values()) if len(terms) == 2 else 0


def _packed(node: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """Count the product with weights packed into a few bits each."""
    return 2 * math.prod(_known(outputs[0])) * _attribute(node, "K", 0)


_FORMULAS: dict[str, Formula] = {
    "Conv": _convolution(0, 1), "FusedConv": _convolution(0, 1), "ConvInteger": _convolution(0, 1),
    "QLinearConv": _convolution(0, 3), "ConvTranspose": _convolution(0, 1, transposed=True), "DeformConv": _convolution(0, 1),
    "MatMul": _product(0, 1), "MatMulInteger": _product(0, 1), "MatMulIntegerToFloat": _product(0, 1),
    "DynamicQuantizeMatMul": _product(0, 1), "QLinearMatMul": _product(0, 3), "FusedMatMul": _fused_product,
    "Gemm": _gemm(0), "FusedGemm": _gemm(0), "QGemm": _gemm(0), "MatMulNBits": _packed,
    "RNN": _recurrent(1), "GRU": _recurrent(3), "LSTM": _recurrent(4), "Attention": _attention, "Einsum": _einsum,
}  # fmt: skip
