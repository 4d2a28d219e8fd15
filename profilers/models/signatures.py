"""Read from a saved program which inputs it takes."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from profilers.models.inputs import DTYPES, Input


class _Shapes(pickle.Unpickler):
    """Read the inputs that torch.jit.trace left in an archive as (shape, dtype); it can build nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *rest: (tuple(shape), storage)
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, tag: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return name.removesuffix("Storage").lower()
        raise pickle.UnpicklingError(f"{module}.{name} is no part of traced inputs")

    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


_STORAGES = {
    "float": "float32", "half": "float16", "bfloat16": "bfloat16", "double": "float64", "long": "int64", "int": "int32",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool",
}  # fmt: skip


def traced(file: Path) -> tuple[Input, ...] | None:
    """Return the inputs that a TorchScript archive was traced with, the first dimension taken as the batch; else None."""
    with zipfile.ZipFile(file) as archive:
        member = next((name for name in archive.namelist() if name.partition("/")[2] == "traced_inputs.pkl"), None)
        if member is None:
            return None
        try:
            with archive.open(member) as content:
                recorded = _Shapes(content).load()["forward"]
            inputs = tuple(Input(None, tuple(shape[1:]), _STORAGES[storage]) for shape, storage in recorded if len(shape) > 0)
        except (pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError):
            return None  # nested or scalar inputs: they have no shape without a batch
    return inputs if len(inputs) == len(recorded) else None


def exported(program: Any) -> tuple[tuple[Input, ...] | None, int | None, tuple[str, ...]]:
    """Return (inputs, batch, notes) of a torch.export.ExportedProgram; batch is None where it is dynamic."""
    import torch
    from torch.export.graph_signature import InputKind

    if program.example_inputs is None:
        return None, None, ("the program keeps no example inputs",)
    args, kwargs = program.example_inputs
    named = [(None, value) for value in args] + list(kwargs.items())
    specs = [spec.arg for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT]
    sizes = {
        node.name: tuple(getattr(node.meta.get("val"), "shape", ())) for node in program.graph.nodes if node.op == "placeholder"
    }
    if len(named) != len(specs):
        return None, None, ("the program takes nested inputs, which no --input describes",)
    inputs, batches = [], set()
    for (name, value), spec in zip(named, specs, strict=True):
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            if value.dim() == 0 or dtype not in DTYPES:
                return None, None, (f"input {spec.name} is {dtype} of shape {tuple(value.shape)}: not a batch",)
            inputs.append(Input(name, tuple(value.shape[1:]), dtype))
            size = sizes[spec.name][0]
            batches.add(size if isinstance(size, int) else None)
        elif value is None or isinstance(value, bool | int | float | str):
            inputs.append(Input(name, None, type(value).__name__, value))
        else:
            return None, None, ("the program takes nested inputs, which no --input describes",)
    if len(batches) != 1:
        return None, None, ("the inputs of the program do not share their first dimension, so it is no batch",)
    (batch,) = batches
    return tuple(inputs), batch, ()
