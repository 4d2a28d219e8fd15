"""Small ONNX models, made node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, numpy_helper  # noqa: E402  needs onnx
from onnx import helper as helper  # noqa: E402  handed on

Sizes = Sequence[int | str | None]


def tensor(name: str, *shape: int, dtype: str = "float32", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape) if dtype.startswith("float") else rng.integers(0, 2, shape)
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def values(name: str, numbers: Sequence[float], dtype: str) -> Any:
    return numpy_helper.from_array(np.asarray(numbers, dtype), name)


def node(operator: str, inputs: str, outputs: str, /, *, domain: str = "", **attributes: Any) -> Any:
    """Make a node; inputs and outputs are names apart by spaces, and "-" is one that is left out."""
    taken, made = [["" if name == "-" else name for name in names.split()] for names in (inputs, outputs)]
    return helper.make_node(operator, taken, made, domain=domain, **attributes)


def model(
    nodes: Sequence[Any],
    constants: Sequence[Any],
    inputs: Mapping[str, Sizes],
    output: str = "y",
    *,
    kinds: Mapping[str, int] | None = None,
    functions: Sequence[Any] = (),
) -> Any:
    taken = [
        helper.make_tensor_value_info(name, (kinds or {}).get(name, TensorProto.FLOAT), sizes) for name, sizes in inputs.items()
    ]
    graph = helper.make_graph(nodes, "g", taken, [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], constants)
    domains = sorted({one.domain for one in nodes} | {one.domain for one in functions} | {""})
    opsets = [helper.make_opsetid(domain, 20 if not domain else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


def network(*, batch: int | str | None = "b", seed: int = 0) -> Any:
    """Make a network for images of 1x8x8: a convolution of 4 channels, and a linear layer of 10 classes."""
    nodes = [
        node("Conv", "x w1 b1", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
        node("Flatten", "r", "f"), node("Gemm", "f w2 b2", "y", transB=1),
    ]  # fmt: skip
    weights = [tensor("w1", 4, 1, 3, 3, seed=seed), tensor("b1", 4), tensor("w2", 10, 256, seed=seed + 1), tensor("b2", 10)]
    return model(nodes, weights, {"x": [batch, 1, 8, 8]})


PARAMETERS = 4 * 9 + 4 + 2560 + 10
FLOPS = 2 * 64 * 4 * 9 + 2 * 2560  # an image


def save(made: Any, path: Path, **more: Any) -> Path:
    onnx.save(made, str(path), **more)
    return path


def save_apart(made: Any, path: Path) -> Path:
    """Save a model whose weights lie in a file beside it."""
    return save(
        made, path, save_as_external_data=True, all_tensors_to_one_file=True, location=f"{path.name}.data", size_threshold=0
    )
