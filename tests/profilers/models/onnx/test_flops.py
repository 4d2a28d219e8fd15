"""Floating-point operations of ONNX graphs by hand, and against PyTorch's counter."""

from __future__ import annotations

from typing import Any

import pytest

from profilers.errors import ModelError, OutOfMemory
from profilers.models.onnx.flops import count_flops
from profilers.models.onnx.shapes import check_memory, inputs_of, shapes_of
from tests.profilers.models.onnx import files
from tests.profilers.models.onnx.files import helper, node, tensor, values


def counted(
    nodes: list[Any], constants: list[Any], *shape: int, more: dict[str, tuple[int, ...]] | None = None
) -> tuple[int | None, str | None]:
    shapes = {"x": shape, **(more or {})}
    made = files.model(
        nodes, constants, {name: [f"free{place}" for place in range(len(sizes))] for name, sizes in shapes.items()}
    )
    return count_flops(made, shapes_of(made, shapes))


def test_a_network_by_hand() -> None:
    made = files.network()
    assert count_flops(made, shapes_of(made, {"x": (5, 1, 8, 8)})) == (5 * files.FLOPS, None)


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "flops"),
    [
        # 2 * (numbers of the kernel) * batch * (places of the output, or of the input where it is transposed)
        ([node("Conv", "x w", "y", group=2)], [tensor("w", 6, 2, 3, 3)], (2, 4, 8, 8), 2 * 108 * 2 * 36),
        ([node("Conv", "x w", "y", strides=[2])], [tensor("w", 6, 4, 3)], (2, 4, 9), 2 * 72 * 2 * 4),
        ([node("ConvTranspose", "x w", "y", strides=[2, 2])], [tensor("w", 4, 6, 3, 3)], (2, 4, 8, 8), 2 * 216 * 2 * 64),
        ([node("Gemm", "x w", "y", transB=1)], [tensor("w", 5, 7)], (3, 7), 2 * 3 * 5 * 7),
        ([node("Gemm", "x w", "y", transA=1)], [tensor("w", 3, 5)], (3, 7), 2 * 3 * 5 * 7),
        ([node("MatMul", "x w", "y")], [tensor("w", 7, 5)], (4, 3, 7), 2 * 4 * 3 * 5 * 7),
        ([node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "y")], [], (4, 3, 7), 2 * 4 * 3 * 3 * 7),
        ([node("Einsum", "x w", "y", equation="bij,jk->bik")], [tensor("w", 7, 5)], (4, 3, 7), 2 * 4 * 3 * 7 * 5),
        # 4 gates of 6, from 5 inputs and the 6 of before, over 9 steps of a batch of 2
        ([node("LSTM", "x w r", "y", hidden_size=6)], [tensor("w", 1, 24, 5), tensor("r", 1, 24, 6)], (9, 2, 5), 9 * 2 * 2 * 24 * 11),
        ([node("GRU", "x w r", "y", hidden_size=6)], [tensor("w", 1, 18, 5), tensor("r", 1, 18, 6)], (9, 2, 5), 9 * 2 * 2 * 18 * 11),
        ([node("Relu", "x", "r"), node("MatMul", "r w", "y")], [tensor("w", 7, 5)], (3, 7), 2 * 3 * 5 * 7),
    ],
)  # fmt: skip
def test_products_by_hand(nodes: list[Any], constants: list[Any], shape: tuple[int, ...], flops: int) -> None:
    assert counted(nodes, constants, *shape) == (flops, None)


def test_quantised_layers_count_as_those_they_stand_for() -> None:
    scale, zero = values("s", [0.5], "float32"), values("z", [0], "uint8")
    apart = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node("DequantizeLinear", "w s z", "v"),
        node("Conv", "d v", "y"),
    ]  # fmt: skip
    weights = tensor("w", 6, 4, 3, 3, dtype="uint8")
    assert counted(apart, [scale, zero, weights], 2, 4, 8, 8) == (2 * 216 * 2 * 36, None)
    one = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearConv", "q s z w s z s z", "c"),
        node("DequantizeLinear", "c s z", "y"),
    ]
    assert counted(one, [scale, zero, weights], 2, 4, 8, 8) == (2 * 216 * 2 * 36, None)


def test_a_shape_that_is_computed_is_followed() -> None:
    nodes = [
        node("Shape", "x", "s", end=1), node("Concat", "s rest", "shape", axis=0), node("Reshape", "x shape", "f"),
        node("MatMul", "f w", "y"),
    ]  # fmt: skip
    assert counted(nodes, [values("rest", [-1], "int64"), tensor("w", 12, 5)], 2, 3, 4) == (2 * 2 * 12 * 5, None)


def test_what_multiplies_and_is_not_known_is_named_and_nothing_is_given() -> None:
    heavy = [node("MatMul", "x w", "m"), node("Attention", "m w b", "y", domain="com.microsoft", num_heads=1)]
    assert counted(heavy, [tensor("w", 6, 6), tensor("b", 18)], 2, 3, 6) == (
        None,
        "operators that cannot be counted: Attention of com.microsoft",
    )
    assert counted([node("Relu", "x", "y")], [], 2, 3)[0] is None


def test_a_product_in_a_loop_is_not_counted_once() -> None:
    body = helper.make_graph(
        [node("MatMul", "v w", "v2"), node("Identity", "c", "c2")], "body",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (("i", 7, []), ("c", 9, []), ("v", 1, [3, 3]))],
        [helper.make_tensor_value_info("c2", 9, []), helper.make_tensor_value_info("v2", 1, [3, 3])],
    )  # fmt: skip
    nodes = [node("Loop", "n - x", "y", body=body)]
    assert counted(nodes, [values("n", 5, "int64"), tensor("w", 3, 3)], 3, 3) == (  # type: ignore[arg-type]
        None, "operators that cannot be counted: MatMul inside Loop, which runs as often as its input demands",
    )  # fmt: skip


def test_a_value_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    huge = [node("ConstantOfShape", "s", "c"), node("ReduceSum", "c", "r", keepdims=0), node("Add", "x r", "y")]
    made = files.model(huge, [values("s", [1 << 20, 1 << 22], "int64")], {"x": ["b", 2]})
    with pytest.raises(OutOfMemory, match="has 4,398,046,511,104 numbers, which do not fit into memory"):
        check_memory(shapes_of(made, {"x": (1, 2)}))


def test_inputs_are_told_without_those_that_have_a_value() -> None:
    made = files.model([node("Add", "x w", "y")], [tensor("w", 2)], {"x": ["b", 2, None], "w": [2]})
    (one,) = inputs_of(made)
    assert (one.name, one.dtype, one.sizes) == ("x", "float32", ("b", 2, "?"))
    text = files.model([node("Identity", "x", "y")], [], {"x": ["b"]}, kinds={"x": 8})
    with pytest.raises(ModelError, match="the input 'x' is not a tensor of numbers"):
        inputs_of(text)
