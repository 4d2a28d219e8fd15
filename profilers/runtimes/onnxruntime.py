"""Implement the runtime interface with ONNX Runtime: open the ONNX file and make its batches, without torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from profilers.datasets import LabelledImages
from profilers.errors import MeterError, ModelError, ProfilerError
from profilers.measuring.device import Device, cuda_device
from profilers.measuring.runtime import Prepared, images_of, installed
from profilers.measuring.settings import ProfileSettings
from profilers.meters.rapl import processor_name
from profilers.models.onnx.checking import check_file, digest
from profilers.models.onnx.flops import count_flops, shapes_needed
from profilers.models.onnx.graph import Constants
from profilers.models.onnx.parameters import count_parameters, left_out
from profilers.models.onnx.precision import precision_of
from profilers.models.onnx.shapes import check_memory, inputs_of, shapes_of
from profilers.models.torch_errors import in_one_line
from profilers.runtimes.onnx_batches import FeedBatch, make_batches
from profilers.runtimes.onnx_inference import OnnxInference, run_in_time

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_FATAL = 4  # the lowest severity shown from its log; failures are also raised


class OnnxRuntime:
    """Runs ONNX files with ONNX Runtime's own operators; a library of other operators is never loaded."""

    name = "onnxruntime"

    def opens(self, path: Path, /) -> bool:
        return False  # an ONNX file is recognised by its content already

    def find_device(self, device: str, /) -> Device:
        has_cuda = _CUDA in onnxruntime.get_available_providers()
        if device == "auto":
            device = "cuda:0" if has_cuda else "cpu"
        if device == "cpu":
            return Device("cpu", f"{processor_name()}, {threads()} threads", "cpu")
        if not re.fullmatch(r"cuda(:\d+)?", device):
            raise ValueError(f"--device {device!r} is not one of auto, cpu, cuda, cuda:N")
        if not has_cuda:
            raise ModelError(
                f"--device {device}: this ONNX Runtime runs only on the processor; pip install onnxruntime-gpu, or use cpu"
            )
        name = "cuda:0" if device == "cuda" else device
        try:
            return cuda_device(name)
        except MeterError:  # without NVML there is no meter, but the rest can still be measured
            return Device(name, name, name.replace(":", "-"))

    def prepare(self, settings: ProfileSettings, device: Device, /) -> Prepared:
        file = Path(settings.model)
        data = images_of(settings, settings.dataset) if settings.dataset else None
        model = check_file(file)
        sha256, constants = digest(file, model), Constants(model)
        parameters, precision = count_parameters(model, constants), precision_of(model, constants)
        rest = left_out(model, constants)
        batches = make_batches(settings, inputs_of(model), data)
        flops = _flops(file, model, max(batches, key=lambda batch: batch.images), settings.plan.max_s)
        del model, constants
        session = _session(file, str(file), device)
        return Prepared(
            format="onnx",
            sha256=sha256,
            precision=precision,
            inference=OnnxInference(session, batches, seed=settings.seed, flops=flops, max_s=settings.plan.max_s),
            data=data,
            parameters=parameters,
            inputs=batches[0].shapes,
            notes=(*([rest] if rest else []), *_notes(settings, batches, data)),
            threads=threads() if device.code == "cpu" else None,
            providers=",".join(session.get_providers()),
        )

    def versions(self) -> dict[str, str]:
        return installed("onnx", "onnxruntime", "onnxruntime-gpu")


def _flops(file: Path, model: Any, full: FeedBatch, max_s: float) -> tuple[int | None, str | None]:
    """Count the operations per image of a full batch, if its tensors fit into memory."""
    shapes = shapes_of(model, {name: array.shape for name, array in full.feeds.items()})
    check_memory(shapes)
    if needed := shapes_needed(model, shapes):
        shapes |= _shapes_seen(file, full, needed, max_s)
    total, reason = count_flops(model, shapes)
    return None if total is None else round(total / full.images), reason


def _notes(settings: ProfileSettings, batches: Sequence[FeedBatch], data: LabelledImages | None) -> Iterator[str]:
    if data is not None and (dropped := len(data.labels) - sum(batch.images for batch in batches)):
        yield f"the last {dropped} images are left out: the model takes only batches of {settings.batch_size}"
    if (images := max(batch.images for batch in batches)) < settings.batch_size:
        yield f"batches hold {images} images, which are all that there are"
    if data is None:
        yield "inputs are random: energy can differ from that of real ones"


def _session(file: Path, model: str | bytes, device: Device) -> Any:
    """Open a checked file, or a model made from it; its graph is optimised here, with one thread per core."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
    if isinstance(model, bytes):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(file.parent.absolute()))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    kind, _, index = device.code.partition(":")
    providers: list[Any] = [(_CUDA, {"device_id": index or "0"}), _CPU] if kind == "cuda" else [_CPU]
    with in_one_line(f"{file}"):
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    if kind == "cuda" and session.get_providers()[0] != _CUDA:  # otherwise it falls back to the processor without an error
        raise ModelError(f"ONNX Runtime cannot use {device.code} here, and would run on the processor; check CUDA and cuDNN")
    return session


def _shapes_seen(file: Path, batch: FeedBatch, names: list[str], max_s: float) -> dict[str, tuple[int, ...]]:
    """Run one batch with the shapes of some values as outputs; return nothing if that fails."""
    model = check_file(file)
    graph = model.graph
    del graph.output[:]
    for number, name in enumerate(names):
        graph.node.add(op_type="Shape", input=[name], output=[f"ecosel_shape_{number}"])
        graph.output.add(name=f"ecosel_shape_{number}")
    try:
        session = _session(file, model.SerializeToString(), Device("cpu", "cpu", "cpu"))
        with in_one_line("the shapes"):
            found = run_in_time(session, batch.feeds, max_s=max_s)
    except ProfilerError:
        return {}
    return {name: tuple(shape.tolist()) for name, shape in zip(names, found, strict=True)}


def threads() -> int:
    """Return the number of threads of a run on the processor: OMP_NUM_THREADS, as in PyTorch, or one per core."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    cores = set()
    for processor in os.sched_getaffinity(0):
        try:
            cores.add(Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").read_text())
        except OSError:
            cores.add(str(processor))
    return max(1, len(cores))
