"""Read the inputs with which a saved program was recorded."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profilers.errors import DAMAGED_ZIP
from profilers.models.inputs import DTYPES, Input, Value


@dataclass(frozen=True)
class Recorded:
    """One argument as recorded: a tensor with the whole `shape`, or, with shape None, the constant `value`.

    `free` holds the dimensions that may have another size; None if the file does not state them.
    """

    name: str | None
    shape: tuple[int, ...] | None
    dtype: str
    value: Value = None
    free: frozenset[int] | None = None

    def without(self, axis: int) -> Input:
        """Return the input of one image, given the dimension that counts the images."""
        if self.shape is None:
            return Input(self.name, None, self.dtype, self.value)
        return Input(self.name, self.shape[:axis] + self.shape[axis + 1 :], self.dtype, axis=axis)


class _Shapes(pickle.Unpickler):
    """Reads the inputs that torch.jit.trace left in an archive as (shape, dtype); it can build nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *rest: (tuple(shape), storage)
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, tag: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return name.removesuffix("Storage").lower()
        raise pickle.UnpicklingError(f"{module}.{name} is not part of traced inputs")

    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


_STORAGES = {
    "float": "float32", "half": "float16", "bfloat16": "bfloat16", "double": "float64", "long": "int64", "int": "int32",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool",
}  # fmt: skip


def traced(file: Path) -> tuple[Recorded, ...] | None:
    """Return the inputs with which a TorchScript archive was traced; None if there are none, or nested or scalar ones."""
    with zipfile.ZipFile(file) as archive:
        member = next((name for name in archive.namelist() if name.partition("/")[2] == "traced_inputs.pkl"), None)
        if member is None:
            return None
        try:
            with archive.open(member) as content:
                recorded = _Shapes(content).load()["forward"]
            inputs = tuple(Recorded(None, tuple(shape), _STORAGES[storage]) for shape, storage in recorded if len(shape) > 0)
        except (*DAMAGED_ZIP, pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError):
            return None
    return inputs if len(inputs) == len(recorded) else None


def exported(program: Any) -> tuple[tuple[Recorded, ...] | None, tuple[str, ...]]:
    """Return the inputs and notes of a torch.export.ExportedProgram; None if they cannot be described."""
    import torch
    from torch.export.graph_signature import InputKind

    if program.example_inputs is None:
        return None, ("the program keeps no example inputs",)
    args, kwargs = program.example_inputs
    named = [
        *(one for place, value in enumerate(args) for one in _leaves(None if _is_leaf(value) else str(place), value)),
        *(one for name, value in kwargs.items() for one in _leaves(name, value)),
    ]
    specs = [spec.arg for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT]
    sizes = {
        node.name: tuple(getattr(node.meta.get("val"), "shape", ())) for node in program.graph.nodes if node.op == "placeholder"
    }
    if len(named) != len(specs):
        return None, ("the program takes inputs in its own containers, which --input cannot describe",)
    inputs = []
    for (name, value), spec in zip(named, specs, strict=True):
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            if value.dim() == 0 or dtype not in DTYPES:
                return None, (f"input {spec.name} is {dtype} of shape {tuple(value.shape)}: not a batch",)
            free = frozenset(axis for axis, size in enumerate(sizes[spec.name]) if not isinstance(size, int))
            inputs.append(Recorded(name, tuple(value.shape), dtype, free=free))
        elif value is None or isinstance(value, bool | int | float | str):
            inputs.append(Recorded(name, None, type(value).__name__, value))
        else:
            return None, ("the program takes inputs in its own containers, which --input cannot describe",)
    return tuple(inputs), ()


def _is_leaf(value: object) -> bool:
    return not isinstance(value, list | tuple | dict)


def _leaves(path: str | None, value: object) -> Iterator[tuple[str | None, object]]:
    """Yield every argument inside lists, tuples and dicts, with its path as used in --input."""
    if type(value) is dict:
        for name, one in value.items():
            yield from _leaves(f"{path}.{name}", one)
    elif type(value) is list or type(value) is tuple:
        left, right = "[]" if type(value) is list else "()"
        for place, one in enumerate(value):
            yield from _leaves(f"{path}{left}{place}{right}", one)
    else:
        yield path, value
