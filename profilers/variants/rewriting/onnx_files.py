"""Write a network as an ONNX file, and quantise ONNX files to 8-bit integers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from profilers.models.torch_errors import in_one_line

_OPSET = 20
_INPUT = "images"
_CALIBRATED_AT_ONCE = 32
# operators whose weights can be 8-bit integers
_WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")


def write_onnx(network: nn.Module, sample: torch.Tensor, path: Path, /) -> None:
    """Write a network in evaluation mode, for any number of images. Raises ModelError if ONNX cannot express it."""
    with in_one_line("exporting to ONNX"), _silent():
        program = torch.onnx.export(
            network, (sample,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), input_names=[_INPUT],
            output_names=["scores"], opset_version=_OPSET, verbose=False,
        )  # fmt: skip
        assert program is not None
        program.save(str(path))


def write_int8(source: Path, target: Path, images: NDArray[np.float32], /, *, has_vnni: bool) -> None:
    """Quantise weights (one scale per channel) and activations of an ONNX file, with ranges found on some training images.

    Without VNNI instructions, sums of 8-bit products overflow 16 bits, so weights get 7 bits (onnxruntime's reduce_range).
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name("prepared.onnx")
    with in_one_line("quantising"), _silent():
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(target), _Calibration(images), quant_format=QuantFormat.QDQ, per_channel=True,
            reduce_range=not has_vnni, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    prepared.unlink()


def count_quantised(path: Path, /) -> tuple[int, int]:
    """Return how many operators take learned weights as 8-bit integers, and how many have learned weights."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    quantised = total = 0
    for node in graph.node:
        if node.op_type not in _WEIGHTED:
            continue
        weight = node.input[1]
        maker = makers.get(weight)
        if maker is not None and maker.op_type == "DequantizeLinear":
            total += (packed := maker.input[0]) in stored
            quantised += stored.get(packed) in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
        else:
            total += weight in stored
    return quantised, total


def has_vnni(text: str | None = None, /) -> bool:
    """Tell from /proc/cpuinfo whether the processor multiplies 8-bit integers without overflow."""
    if text is None:
        try:
            text = Path("/proc/cpuinfo").read_text()
        except OSError:
            return False
    words = set(text.split())
    # avx_vnni and avx512_vnni on x86; asimddp is ARM's dot product
    return bool(words & {"avx512_vnni", "avx_vnni", "asimddp"})


class _Calibration:
    """Hands the images to onnxruntime one batch at a time."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._batches = iter(np.array_split(images, max(1, len(images) // _CALIBRATED_AT_ONCE)))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {_INPUT: batch}


@contextmanager
def _silent() -> Iterator[None]:
    """Hide the exporters' progress, advice and warnings; failures are raised."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
