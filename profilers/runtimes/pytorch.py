"""Implement the runtime interface with PyTorch: find the device, open the model, and make its batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from profilers.datasets import LabelledImages
from profilers.errors import MeterError, ModelError
from profilers.inference.batches import Batch
from profilers.inference.own_data import OwnData, is_own, own_data
from profilers.inference.running import DTYPES, TorchInference, set_precision
from profilers.measuring.device import Device, cuda_device, no_device
from profilers.measuring.runtime import Prepared, images_of, installed
from profilers.measuring.settings import ProfileSettings
from profilers.meters.rapl import processor_name
from profilers.models.inputs import Input, image_batch, make_batch, parse_inputs
from profilers.models.opening import SavedModel, count_parameters, open_model
from profilers.models.parameters import is_lazy
from profilers.models.torch_errors import in_one_line
from profilers.models.weights.filling import Fitting

_SHORT = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float64: "fp64"}


# Number of different batches in a pass of random inputs.
_RANDOM_BATCHES = 8


class PyTorch:
    """Runs every format that `profilers.models.opening` opens."""

    name = "torch"

    def opens(self, path: Path, /) -> bool:
        return False  # the files it opens are recognised by their content already

    def find_device(self, device: str, /) -> Device:
        return find_device(device)

    def prepare(self, settings: ProfileSettings, device: Device, /) -> Prepared:
        return prepare(settings, device.code)

    def versions(self) -> dict[str, str]:
        found = {"torch": str(torch.__version__), **installed("torchvision")}
        if torch.version.cuda:
            found["cuda"] = torch.version.cuda
        if torch.cuda.is_available():
            found["cudnn"] = str(torch.backends.cudnn.version())
        return found


def prepare(request: ProfileSettings, device: str) -> Prepared:
    """Open the model, make its batches and put both on the device; lazy layers get their shapes from the first batch."""
    if request.precision == "tf32" and (device == "cpu" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise ValueError(f"precision 'tf32' needs an NVIDIA board since Ampere, and the device is {device}; choose another")
    set_precision(request.precision)
    data = _data(request)
    saved = open_model(
        request.model,
        factory=request.factory,
        factory_args=request.factory_args,
        trust=request.trust,
        device=device,
        batch_axis=request.batch_axis,
        fitting=Fitting(request.entry, request.rename, request.strict, request.weights),
    )
    batches, notes = make_batches(request, saved, data)
    module, precision, more = _converted(request, saved)
    if isinstance(module, torch.nn.Module):
        batches = [batch.map(_fit(request)) for batch in batches]
    inference = TorchInference(module, batches, device=torch.device(device), mode=request.mode, seed=request.seed)
    if isinstance(module, torch.nn.Module) and is_lazy(module):
        inference.try_out()
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in batches[0].tensors)
    return Prepared(
        format=saved.format,
        sha256=saved.sha256,
        precision=precision,
        inference=inference,
        data=data,
        parameters=count_parameters(saved.module),
        inputs=shapes,
        notes=(*saved.notes, *notes, *more),
        threads=torch.get_num_threads() if device == "cpu" else None,
    )


def _data(request: ProfileSettings) -> LabelledImages | OwnData | None:
    if not request.dataset:
        return None
    if is_own(request.dataset):
        return own_data(request.dataset, batch_size=request.batch_size, limit=request.limit)
    return images_of(request, request.dataset)


def _fit(request: ProfileSettings) -> Callable[[torch.Tensor], torch.Tensor]:
    memory_format = torch.channels_last if request.channels_last else torch.contiguous_format

    def fit(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to(DTYPES[request.precision]) if tensor.is_floating_point() else tensor
        return tensor.to(memory_format=memory_format) if tensor.ndim == 4 else tensor

    return fit


def _converted(request: ProfileSettings, saved: SavedModel) -> tuple[Callable[..., object], str, list[str]]:
    """Return the module in the requested precision and layout, that precision, and notes.

    Complex numbers stay unchanged, and so does a program that itself converts its inputs to a narrower type.
    """
    module, name, dtype, notes = saved.module, request.name, DTYPES[request.precision], list[str]()
    if request.compile and (isinstance(module, torch.jit.ScriptModule) or not isinstance(module, torch.nn.Module)):
        raise ModelError(f"{name} is a compiled program, which torch.compile does not accept; profile it without --compile")
    if not isinstance(module, torch.nn.Module):
        if request.precision != "fp32" or request.channels_last:
            raise ModelError(
                f"{name} has its precision and memory layout compiled in; profile it without --precision and --channels-last"
            )
        return module, request.precision, notes
    if dtype != torch.float32 and any(tensor.is_complex() for tensor in module.parameters()):
        raise ModelError(f"{name} has complex weights, which {request.precision} cannot hold; profile it without --precision")
    saved_as = {tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()} - {dtype}
    if saved_as and _casts_inside(request, saved):
        precision = " + ".join(sorted(_SHORT.get(one, str(one)) for one in saved_as))
        return module, precision, [f"the program itself computes in {precision}"]
    if saved_as and torch.float32 not in saved_as:
        notes.append(f"the model is saved as {', '.join(map(str, saved_as))} and runs in {request.precision}")
    with in_one_line(f"{name} in {request.precision}"):
        if saved_as and any(tensor.is_complex() for tensor in (*module.parameters(), *module.buffers())):
            # Module.to would drop the imaginary part
            module._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
        elif saved_as:
            module.to(dtype=dtype)
        if request.channels_last:
            module.to(memory_format=torch.channels_last)
    return module, request.precision, notes


def _casts_inside(request: ProfileSettings, saved: SavedModel) -> bool:
    """Tell whether a program takes float32 but computes in another type; then its weights must stay unchanged."""
    inputs = {given.dtype for given in saved.inputs or () if given.shape is not None}
    return saved.format == "export" and request.precision == "fp32" and not request.channels_last and inputs == {"float32"}


def make_batches(
    request: ProfileSettings, saved: SavedModel, data: LabelledImages | OwnData | None, /
) -> tuple[list[Batch], list[str]]:
    """Return the batches of one pass, and notes. Raises ModelError if the inputs are unknown, or no batch can be made."""
    axis = (request.batch_axis or (0,))[0]
    given = tuple(
        replace(one, axis=axis) if one.shape is not None else one for one in parse_inputs(request.inputs, request.values)
    ) or (() if data is not None else saved.inputs or ())
    if data is None and not any(input.shape is not None for input in given):
        asked = next((f"; {note}" for note in saved.notes if "--batch-axis" in note), "")
        raise ModelError(
            f"{request.name} does not state its inputs{asked}; give --input 3x32x32 (a shape without the batch) or --dataset"
        )
    if saved.batch not in (None, request.batch_size):
        raise ModelError(f"{request.name} takes only batches of {saved.batch}; give --batch-size {saved.batch}")
    batches = batches_of(request, given, data, whole=saved.batch is not None)
    notes = []
    if data is not None and (dropped := _images(data) - sum(batch.images for batch in batches)):
        notes.append(f"the last {dropped} images are left out: the model takes only batches of {saved.batch}")
    largest = max(batch.images for batch in batches)
    if isinstance(data, OwnData):
        notes.append(f"batches are those of {data.name}: {largest} images at most")
    elif largest < request.batch_size:
        notes.append(f"batches hold {largest} images, which are all there are")
    if data is None:
        notes.append("inputs are random: energy can differ from that of real inputs")
    return batches, notes


def _images(data: LabelledImages | OwnData) -> int:
    return sum(batch.images for batch in data.batches) if isinstance(data, OwnData) else len(data.labels)


def batches_of(
    request: ProfileSettings, given: Sequence[Input], data: LabelledImages | OwnData | None, *, whole: bool
) -> list[Batch]:
    size = request.batch_size
    if data is None:
        with in_one_line(f"making random inputs for batches of {size}"):
            made = [make_batch(given, size, request.seed + index) for index in range(_RANDOM_BATCHES)]
        return [Batch(args, kwargs, size) for args, kwargs in made]
    constants, kwargs = make_batch(given, size, request.seed)
    if isinstance(data, OwnData):
        made_here = [Batch((*one.args, *constants), {**one.kwargs, **kwargs}, one.images) for one in data.batches]
        if any(one.images != size for one in made_here) and whole:
            raise ModelError(f"{data.name} gives batches of {made_here[-1].images}, and the model takes {size} only")
        return made_here
    count = len(data.labels)
    starts = range(0, count - size + 1 if whole else count, size)
    batches = []
    for start in starts:
        images = image_batch(data, slice(start, start + size), normalise=request.normalise)
        batches.append(Batch((images, *constants), kwargs, len(images)))
    if not batches:
        raise ModelError(f"{data.name} has {count} images, and the model takes only batches of {size}")
    return batches


def find_device(device: str) -> Device:
    """Find a device without opening it, as its idle power is measured first."""
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return Device("cpu", f"{processor_name()}, {torch.get_num_threads()} threads", "cpu")
    if not re.fullmatch(r"cuda(:\d+)?|(GPU|MIG)-.+", device):
        raise ValueError(f"--device {device!r} is not one of auto, cpu, cuda, cuda:N, GPU-UUID, MIG-UUID")
    if not torch.cuda.is_available():
        raise ModelError(f"--device {device}: PyTorch finds no CUDA device here; --device cpu runs on the processor")
    name = "cuda:0" if device == "cuda" else device
    try:
        return cuda_device(name)
    except MeterError:  # without NVML there is no meter, but the rest can still be measured
        if not name.startswith("cuda") or int(name[5:]) >= torch.cuda.device_count():
            raise no_device(device) from None
        return Device(name, torch.cuda.get_device_name(name), name.replace(":", "-"))
