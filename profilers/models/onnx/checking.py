"""Refuse an ONNX file that needs more than ONNX's own operators and its own folder, before anything runs it.

ONNX is data, but a library of custom operators is code: none is ever loaded. Tensors may have data in other files, whose names
the file chooses.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from profilers.errors import ModelError
from profilers.models.formats import recognise
from profilers.models.onnx.graph import BITS, graphs, size_bytes, tensors

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
# Operators in Microsoft's domain that load more than the file: a vendor's compiled blob, Python.
_LOADERS = {"EPContext", "PythonOp", "PythonOpGrad", "ATen", "NcclAllReduce"}
_MOST_BYTES = 2 << 30  # bytes of a protocol buffer, at most
_MOST_NODES, _MOST_ENDS, _MOST_DIMENSIONS = 50_000, 5_000, 64
_EXTERNAL = 1  # TensorProto.DataLocation


def check_file(path: Path) -> Any:
    """Return the model in a file, without data in other files; raise ModelError if it is refused."""
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size >= _MOST_BYTES:
        raise ModelError(f"{path} is larger than 2 GB, which no ONNX file can be; save its weights as external data")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is cut short or damaged ({path.stat().st_size} bytes); copy or download it again") from error
    _check_size(path, model)
    _check_names(path, model)
    _check_operators(path, model)
    for tensor in tensors(model):
        _check_tensor(path, tensor)
    return model


def external_files(path: Path, model: Any) -> list[Path]:
    """Return the other files that hold data of a checked model, sorted by name."""
    names = {_place(tensor).get("location", "") for tensor in tensors(model) if tensor.data_location == _EXTERNAL}
    return [path.parent / name for name in sorted(names)]


def digest(path: Path, model: Any) -> str:
    """Return the SHA-256 of a file followed by the files that hold its data."""
    found = hashlib.sha256()
    for file in (path, *external_files(path, model)):
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a saved model of any format; for ONNX, including the files that hold its data."""
    with suppress(ModelError, ImportError):  # a file that cannot be opened still has a digest
        if recognise(path).format == "onnx":
            return digest(path, check_file(path))
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check_size(path: Path, model: Any) -> None:
    """Refuse a graph that would take minutes to examine: far more nodes or dimensions than a network has."""
    nodes = 0
    for nested in graphs(model):
        graph = nested.graph
        nodes += 1 + max(len(graph.node), len(graph.initializer) + len(graph.sparse_initializer))
        if len(graph.input) - len(graph.initializer) + len(graph.output) > _MOST_ENDS:
            raise ModelError(f"{path} has more than {_MOST_ENDS:,} inputs and outputs; no network has that many")
        if nodes > _MOST_NODES:
            raise ModelError(f"{path} has more than {_MOST_NODES:,} nodes or tensors; no network has that many")
    values = (
        value for nested in graphs(model) for value in (*nested.graph.input, *nested.graph.output, *nested.graph.value_info)
    )
    ranks = (*(len(tensor.dims) for tensor in tensors(model)), *(len(one.type.tensor_type.shape.dim) for one in values))
    if max(ranks, default=0) > _MOST_DIMENSIONS:
        raise ModelError(
            f"{path} has a tensor of {max(ranks):,} dimensions; NumPy and the runtime know at most {_MOST_DIMENSIONS}"
        )


def _check_names(path: Path, model: Any) -> None:
    """Refuse names that are not text: protobuf returns them as bytes."""
    names: list[object] = [
        entry for tensor in tensors(model) for entry in (tensor.name, *_place(tensor), *_place(tensor).values())
    ]
    for nested in graphs(model):
        graph = nested.graph
        values = (*graph.input, *graph.output, *graph.value_info)
        names += [value.name for value in values]
        names += [one.dim_param for value in values for one in value.type.tensor_type.shape.dim]
        for node in graph.node:
            names += [node.op_type, node.domain, *node.input, *node.output, *(attribute.name for attribute in node.attribute)]
    if any(isinstance(name, bytes) for name in names):
        raise ModelError(f"{path} has names that are not text; the file is damaged: copy or download it again")


def _check_operators(path: Path, model: Any) -> None:
    if model.functions:
        name = model.functions[0].domain or model.functions[0].name
        raise ModelError(f"{path} defines functions of its own ({name[:80]}); inline them: onnx.inliner.inline_local_functions")
    domains = {node.domain for nested in graphs(model) for node in nested.graph.node}
    if foreign := sorted(domains - _DOMAINS):
        raise ModelError(
            f"{path} uses operators of {', '.join(name[:80] for name in foreign[:3])}, which are code outside the file; "
            "only those of ONNX and com.microsoft are allowed"
        )
    operators = {node.op_type for nested in graphs(model) for node in nested.graph.node if node.domain == "com.microsoft"}
    if loaders := operators & _LOADERS:
        raise ModelError(f"{path} uses {', '.join(sorted(loaders))}, which loads code from outside the file; it is not run")


def _check_tensor(path: Path, tensor: Any) -> None:
    """Check that the data of a tensor is in the file or its folder, with the length that its shape implies."""
    name = f"the tensor {tensor.name[:80]!r} of {path}"
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"{name} has a negative size; the file is damaged")
    if tensor.data_type not in BITS:
        raise ModelError(f"{name} has the type {tensor.data_type}, which this version of onnx does not support")
    wanted = size_bytes(tensor)
    if tensor.data_location == _EXTERNAL:
        _check_external(path, name, _place(tensor), wanted)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != wanted:
            raise ModelError(f"{name} holds {len(tensor.raw_data)} bytes, but its shape needs {wanted}; the file is damaged")
    else:
        lists = (
            tensor.float_data,
            tensor.int32_data,
            tensor.string_data,
            tensor.int64_data,
            tensor.double_data,
            tensor.uint64_data,
        )
        if wanted > 16 * sum(map(len, lists)):  # the widest element has 16 bytes
            raise ModelError(f"{name} holds less data than its shape needs ({wanted} bytes); the file is damaged")


def _check_external(path: Path, name: str, place: dict[str, str], wanted: int) -> None:
    """Refuse external data that is not a plain file in the model's own folder, or is too short."""
    location = place.get("location", "")
    parts = PurePosixPath(location).parts
    if (
        not location
        or "\0" in location
        or ".." in parts
        or PurePosixPath(location).is_absolute()
        or "\\" in location
        or PureWindowsPath(location).drive
    ):
        raise ModelError(f"{name} keeps its data in {location[:80]!r}, outside the model's folder; it is not read")
    file = path.parent / location
    links = [path.parent.joinpath(*parts[: count + 1]) for count in range(len(parts))]
    if any(link.is_symlink() for link in links) or not file.is_file():
        what = "a link" if any(link.is_symlink() for link in links) else "missing"
        raise ModelError(f"{name} keeps its data in {location[:80]!r}, which is {what}; put the file itself beside the model")
    if not os.access(file, os.R_OK):
        raise ModelError(f"{file}, the data of {path}, cannot be read; check its permissions")
    try:
        offset, length = int(place.get("offset") or 0), int(place.get("length") or wanted)
    except ValueError:
        offset = length = -1
    if offset < 0 or length != wanted or offset + length > file.stat().st_size:
        raise ModelError(f"{name} is missing from the place that the file states, {location[:80]!r}; copy or download both again")


def _place(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}
