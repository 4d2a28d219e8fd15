"""Find out how a model is actually computed: in which precision, and how many of its layers in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profilers.errors import ModelError

# operators in onnxruntime's graph that multiply 8-bit integers, and those that multiply floats
_INTEGER = ("QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat")
_FLOAT = ("Conv", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul", "NhwcFusedConv", "ConvTranspose")
_SHORT = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float64": "fp64"}


@dataclass(frozen=True)
class Execution:
    """The precision in which layers with weights were computed, and how many of them in 8-bit integers, if known."""

    precision: str
    integer_layers: int | None = None


def execution_of_module(module: Callable[..., Any], images: NDArray[np.float32], /) -> Execution:
    """Return the output types of a torch module's convolutions and matrix products."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: set[str] = set()

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            name = function.overloadpacket.__name__
            if isinstance(result, torch.Tensor) and ("conv" in name or name in ("mm", "addmm", "bmm", "baddbmm", "linear")):
                seen.add(str(result.dtype).removeprefix("torch."))
            return result

    with torch.no_grad(), Watch():
        module(torch.from_numpy(images))
    if not seen:
        raise ModelError("the network ran without a convolution or a matrix product, so its precision is unknown")
    return Execution(" + ".join(_SHORT.get(name, name) for name in sorted(seen)))


def execution_of_onnx(path: Path, /) -> Execution:
    """Count in the graph that onnxruntime makes from a file, which is the graph that runs."""
    import onnx
    import onnxruntime

    with TemporaryDirectory() as folder:
        optimised = Path(folder, "optimised.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(optimised)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [node.op_type for node in onnx.load(str(optimised), load_external_data=False).graph.node]
    integers, floats = (sum(name in kinds for name in names) for kinds in (_INTEGER, _FLOAT))
    words = ["int8"] * (integers > 0) + ["fp32"] * (floats > 0)
    return Execution(" + ".join(words) or "unknown", integers)
