"""PyTorch as a runtime: open the model of a request and make its batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import torch

from profilers.datasets import LabelledImages, load_dataset
from profilers.errors import ModelError
from profilers.inference.batches import Batch
from profilers.inference.running import DTYPES, TorchInference, set_precision
from profilers.measuring.device import Device
from profilers.measuring.runtime import Prepared
from profilers.measuring.settings import ProfileSettings
from profilers.models.inputs import Input, image_batch, make_batch, parse_inputs
from profilers.models.opening import count_parameters, open_model
from profilers.models.torch_errors import in_one_line
from profilers.runtimes.torch_devices import find_device

# Random inputs: so many different batches, one after the other, make a pass.
_RANDOM_BATCHES = 8


class PyTorch:
    """Runs every format that `profilers.models.opening` opens."""

    name = "torch"

    def opens(self, path: Path, /) -> bool:
        return False  # what it opens is known by its content already

    def find_device(self, device: str, /) -> Device:
        return find_device(device)

    def prepare(self, settings: ProfileSettings, device: Device, /) -> Prepared:
        return prepare(settings, device.code)

    def versions(self) -> dict[str, str]:
        found = {"torch": str(torch.__version__)}
        with suppress(metadata.PackageNotFoundError):
            found["torchvision"] = metadata.version("torchvision")
        if torch.version.cuda:
            found["cuda"] = torch.version.cuda
        if torch.cuda.is_available():
            found["cudnn"] = str(torch.backends.cudnn.version())
        return found


def prepare(request: ProfileSettings, device: str) -> Prepared:
    if request.precision == "tf32" and (device == "cpu" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise ValueError(f"precision 'tf32' is of NVIDIA boards since Ampere, and the device is {device}; choose another")
    set_precision(request.precision)
    data = None
    if request.dataset:
        data = load_dataset(request.dataset, split=request.split, download=request.download, limit=request.limit)
    saved = open_model(
        request.model, factory=request.factory, factory_args=request.factory_args, trust=request.trust, device=device
    )
    module, parameters = saved.module, count_parameters(saved.module)
    given = parse_inputs(request.inputs, request.values) or (() if data is not None else saved.inputs or ())
    notes = [*saved.notes]
    if data is None and not any(input.shape is not None for input in given):
        raise ModelError(
            f"{request.model} does not tell its inputs; give --input 3x32x32 (a shape without the batch) or --dataset"
        )
    if saved.batch not in (None, request.batch_size):
        raise ModelError(f"{request.model} takes batches of {saved.batch} only; give --batch-size {saved.batch}")
    dtype = DTYPES[request.precision]
    memory_format = torch.channels_last if request.channels_last else torch.contiguous_format

    def fit(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        return tensor.to(memory_format=memory_format) if tensor.ndim == 4 else tensor

    batches = batches_of(request, given, data, whole=saved.batch is not None)
    if isinstance(module, torch.nn.Module):
        saved_as = {tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()} - {dtype}
        if saved_as and torch.float32 not in saved_as:
            notes.append(f"the model is saved as {', '.join(map(str, saved_as))} and runs in {request.precision}")
        if saved_as or request.channels_last:
            with in_one_line(f"{request.model} in {request.precision}"):
                module = module.to(dtype=dtype, memory_format=memory_format)
        batches = [batch.map(fit) for batch in batches]
    elif request.precision != "fp32" or request.channels_last:
        raise ModelError(
            f"{request.model} has its precision and memory layout compiled in; profile it without --precision and --channels-last"
        )
    if data is not None and (dropped := len(data.labels) - sum(batch.images for batch in batches)):
        notes.append(f"the last {dropped} images are left out: the model takes batches of {saved.batch} only")
    if (largest := max(batch.images for batch in batches)) < request.batch_size:
        notes.append(f"batches hold {largest} images, which are all that there are")
    if data is None:
        notes.append("inputs are random: energy can differ from that of real ones")
    inference = TorchInference(module, batches, device=torch.device(device), mode=request.mode, seed=request.seed)
    shapes = ", ".join("x".join(map(str, value.shape)) for value in batches[0].args if isinstance(value, torch.Tensor))
    return Prepared(
        format=saved.format,
        sha256=saved.sha256,
        precision=request.precision,
        inference=inference,
        data=data,
        parameters=parameters,
        inputs=shapes,
        notes=tuple(notes),
        threads=torch.get_num_threads() if device == "cpu" else None,
    )


def batches_of(request: ProfileSettings, given: Sequence[Input], data: LabelledImages | None, *, whole: bool) -> list[Batch]:
    size = request.batch_size
    if data is None:
        with in_one_line(f"making random inputs for batches of {size}"):
            made = [make_batch(given, size, request.seed + index) for index in range(_RANDOM_BATCHES)]
        return [Batch(args, kwargs, size) for args, kwargs in made]
    constants, kwargs = make_batch(given, size, request.seed)
    count = len(data.labels)
    starts = range(0, count - size + 1 if whole else count, size)
    batches = []
    for start in starts:
        images = image_batch(data, slice(start, start + size), normalise=request.normalise)
        batches.append(Batch((images, *constants), kwargs, len(images)))
    if not batches:
        raise ModelError(f"{data.name} has {count} images, and the model takes batches of {size} only")
    return batches
