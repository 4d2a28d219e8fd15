"""What an ONNX model has learned: counted from the tensors that its products take, as stored or quantised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profilers.models.onnx.checking import check_file
from profilers.models.onnx.graph import Constants
from profilers.models.onnx.parameters import count_parameters, left_out
from profilers.models.onnx.precision import precision_of
from tests.profilers.models.onnx import files
from tests.profilers.models.onnx.files import node, tensor, values


def total(nodes: list[Any], constants: list[Any]) -> int | None:
    made = files.model(nodes, constants, {"x": ["b", 4, 8, 8]})
    return count_parameters(made, Constants(made)).total


def test_weights_and_biases_of_convolutions_and_products_count() -> None:
    made = files.network()
    found = count_parameters(made, Constants(made))
    assert (found.total, found.bytes, found.buffers, found.trainable) == (files.PARAMETERS, 4 * files.PARAMETERS, 0, None)
    assert left_out(made, Constants(made)) is None


def test_weights_beside_the_file_count_without_being_read(tmp_path: Path) -> None:
    made = check_file(files.save_apart(files.network(), tmp_path / "net.onnx"))
    assert count_parameters(made, Constants(made)).total == files.PARAMETERS


def test_quantised_weights_count_and_their_scales_do_not() -> None:
    nodes = [
        node("DequantizeLinear", "w s z", "v", axis=0), node("DequantizeLinear", "b s zb", "c", axis=0), node("Conv", "x v c", "y"),
    ]  # fmt: skip
    constants = [
        tensor("w", 6, 4, 3, 3, dtype="int8"), tensor("b", 6, dtype="int32"), tensor("s", 6), tensor("z", 6, dtype="int8"),
        tensor("zb", 6, dtype="int32"),
    ]  # fmt: skip
    made = files.model(nodes, constants, {"x": ["b", 4, 8, 8]})
    found = count_parameters(made, Constants(made))
    assert (found.total, found.bytes) == (216 + 6, 216 + 24)
    assert precision_of(made, Constants(made)) == "int8"
    assert left_out(made, Constants(made)) is None


@pytest.mark.parametrize(
    ("nodes", "constants", "parameters"),
    [
        # a shape, an index and a mean to subtract are not learned
        ([node("Sub", "x m", "n"), node("Reshape", "n s", "r"), node("MatMul", "r w", "y")],
         [tensor("m", 1, 4, 1, 1), values("s", [0, 256], "int64"), tensor("w", 256, 3)], 768),
        # the bias that a product leaves to an Add is
        ([node("Flatten", "x", "r"), node("MatMul", "r w", "p"), node("Add", "p b", "y")], [tensor("w", 256, 3), tensor("b", 3)], 771),
        # a tensor that two layers share counts once
        ([node("Conv", "x w", "c"), node("Conv", "c w", "y")], [tensor("w", 4, 4, 1, 1)], 16),
        # weights behind a transposition
        ([node("Flatten", "x", "r"), node("Transpose", "w", "t"), node("MatMul", "r t", "y")], [tensor("w", 3, 256)], 768),
        ([node("Constant", "", "w", value=tensor("v", 256, 3)), node("Flatten", "x", "r"), node("MatMul", "r w", "y")], [], 768),
        ([node("BatchNormalization", "x a b c d", "y")], [tensor(name, 4) for name in "abcd"], 8),
    ],
)  # fmt: skip
def test_what_counts(nodes: list[Any], constants: list[Any], parameters: int) -> None:
    assert total(nodes, constants) == parameters


def test_statistics_of_a_batch_norm_are_buffers() -> None:
    made = files.model(
        [node("BatchNormalization", "x a b c d", "y")], [tensor(name, 4) for name in "abcd"], {"x": ["n", 4, 8, 8]}
    )
    found = count_parameters(made, Constants(made))
    assert (found.buffers, found.bytes) == (8, 64)


def test_numbers_that_are_not_counted_are_reported() -> None:
    made = files.model(
        [node("Sub", "x m", "n"), node("Conv", "n w", "y")],
        [tensor("m", 4, 8, 8), tensor("w", 2, 4, 1, 1)],
        {"x": ["b", 4, 8, 8]},
    )
    assert count_parameters(made, Constants(made)).total == 8
    assert left_out(made, Constants(made)) == (
        "256 floating-point numbers feed no convolution, product, normalisation or look-up and are not parameters"
    )


def test_packed_weights_and_none_at_all_are_null_with_a_reason() -> None:
    packed = [node("MatMulNBits", "x w s", "y", domain="com.microsoft", K=32, N=3, bits=4, block_size=32)]
    made = files.model(packed, [tensor("w", 3, 1, 16, dtype="uint8"), tensor("s", 3)], {"x": ["b", 32]})
    assert count_parameters(made, Constants(made)).reason == "MatMulNBits keep their weights packed"
    made = files.model([node("Relu", "x", "y")], [], {"x": ["b", 32]})
    assert count_parameters(made, Constants(made)).reason == "no tensor in the file feeds a convolution or a product"
