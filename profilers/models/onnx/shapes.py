"""Read the inputs of an ONNX model, and infer the shapes of all its values for inputs of given shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from profilers.errors import ModelError, OutOfMemory
from profilers.models.onnx.graph import elements, graphs, tensors

Shape = tuple[int, ...]
# The types of onnx.proto that NumPy also has.
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
    12: "uint32", 13: "uint64",
}  # fmt: skip
# Tensors with more numbers are weights; smaller ones, such as shapes and scales, are needed to infer shapes.
_SMALL = 256


@dataclass(frozen=True)
class GraphInput:
    """One input: its NumPy type, and its sizes; a free size is a name, or "?"."""

    name: str
    dtype: str
    sizes: tuple[int | str, ...]


def inputs_of(model: Any) -> tuple[GraphInput, ...]:
    """Return the inputs that a model needs; raise ModelError if one is not a tensor of numbers."""
    has_default = {tensor.name for tensor in model.graph.initializer}
    found = []
    for value in model.graph.input:
        if value.name in has_default:
            continue
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or kind.elem_type not in TYPES or not kind.HasField("shape"):
            raise ModelError(
                f"the input {value.name[:80]!r} is not a tensor of numbers with a shape; such a model cannot be given inputs"
            )
        sizes = tuple(one.dim_value if one.HasField("dim_value") else (one.dim_param or "?") for one in kind.shape.dim)
        found.append(GraphInput(value.name, TYPES[kind.elem_type], tuple(size if size != 0 else "?" for size in sizes)))
    if not found:
        raise ModelError("the model takes no input")
    return tuple(found)


def shapes_of(model: Any, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of a model's values, as far as they can be inferred; removes the data of weights from `model`."""
    import onnx

    shapes = {tensor.name: tuple(tensor.dims) for nested in graphs(model) for tensor in nested.graph.initializer}
    symbols = _fix_inputs(model, inputs)
    _drop_weights(model)
    said = dict(_said(model, symbols))
    del model.graph.value_info[:]
    try:
        found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # of many classes; operations without inferred shapes are not counted, and the output says so
        found = model
    return said | dict(_said(found, symbols)) | shapes


def check_memory(shapes: Mapping[str, Shape]) -> None:
    """Refuse a model with a value too large for this machine's memory, before the runtime tries to allocate it."""
    with open("/proc/meminfo") as file:
        there = next((int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal")), 1 << 62)
    name, size = max(((name, math.prod(shape)) for name, shape in shapes.items()), key=lambda pair: pair[1], default=("", 0))
    if size > there:  # at least one byte each
        raise OutOfMemory(
            f"the value {name[:80]!r} has {size:,} numbers, which do not fit into memory; use a smaller --batch-size"
        )


def _fix_inputs(model: Any, inputs: Mapping[str, Shape]) -> dict[str, int]:
    """Set the sizes of the inputs, and return the value of each free size."""
    symbols: dict[str, int] = {}
    for value in model.graph.input:
        for one, size in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False):
            if one.dim_param:
                symbols[one.dim_param] = size
            one.dim_value = size
    return symbols


def _drop_weights(model: Any) -> None:
    for tensor in tensors(model):
        if elements(tensor) > _SMALL:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)


def _said(model: Any, symbols: Mapping[str, int]) -> Iterator[tuple[str, Shape]]:
    for nested in graphs(model):
        for value in (*nested.graph.input, *nested.graph.value_info, *nested.graph.output):
            if not value.type.tensor_type.HasField("shape"):
                continue
            dims = value.type.tensor_type.shape.dim
            sizes = [one.dim_value if one.HasField("dim_value") else symbols.get(one.dim_param, -1) for one in dims]
            if min(sizes, default=0) >= 0:
                yield value.name, tuple(sizes)
