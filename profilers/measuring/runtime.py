"""Define the interface of a runtime, and find the runtime for a saved model.

A runtime is found by an entry point of the group `ecosel.runtimes`, whose object is a `Runtime`. Another package may add one,
for formats that none of these opens.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from profilers.datasets import Fit, LabelledImages, load_dataset
from profilers.errors import ModelError, ProfilerError
from profilers.inference.protocol import Inference, Labelled
from profilers.measuring.device import Device
from profilers.measuring.settings import ProfileSettings
from profilers.models.opening import check_model
from profilers.models.parameters import Parameters

GROUP = "ecosel.runtimes"

# The entry points of pyproject.toml, for a checkout that is not installed.
OURS = {
    "torch": "profilers.runtimes.pytorch:PyTorch",
    "onnxruntime": "profilers.runtimes.onnxruntime:OnnxRuntime",
}
# The packages that each needs, and the extra that installs them.
_NEEDS = {"torch": (("torch",), "torch"), "onnxruntime": (("onnx", "onnxruntime"), "onnx")}


@dataclass(frozen=True)
class Prepared:
    """A model that was opened, with its batches on the device."""

    format: str
    sha256: str | None
    precision: str
    inference: Inference
    data: Labelled | None
    parameters: Parameters
    inputs: str
    notes: tuple[str, ...]
    threads: int | None = None
    providers: str | None = None  # ONNX Runtime's, in order


class Runtime(Protocol):
    """Opens saved models of some formats and runs them; constructed without arguments."""

    name: str

    def opens(self, path: Path, /) -> bool:
        """Tell from the content of a file that no built-in runtime opens whether this one does, without running any of it."""

    def find_device(self, device: str, /) -> Device:
        """Find a device ("auto", "cpu", "cuda:1") without opening it: its idle power is measured first."""

    def prepare(self, settings: ProfileSettings, device: Device, /) -> Prepared:
        """Open the model of the settings and make its batches."""

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that ran the model."""


def check(settings: ProfileSettings, /) -> EntryPoint:
    """Return the runtime's name for a model, after every check that needs no runtime; load nothing that could run it.

    Raises ModelError or ValueError if the model is refused, ProfilerError with the extra to install if one is missing.
    """
    try:
        recognised = check_model(settings.model, factory=settings.factory, trust=settings.trust)
    except ModelError:
        other = _of_another_package(Path(settings.model))
        if other is None:
            raise
        return other
    name = "onnxruntime" if recognised.format == "onnx" else "torch"
    packages, extra = _NEEDS[name]
    for package in packages:
        if find_spec(package) is None:
            raise ProfilerError(f"{package} is not installed: pip install 'ecosel[{extra}]'")
    if recognised.format == "onnx":
        _check_onnx(settings)
    return EntryPoint(name, OURS[name], GROUP)


def runtime_of(settings: ProfileSettings, /) -> Runtime:
    """Return the runtime of a model; raises the errors of `check`."""
    return _loaded(check(settings))


def images_of(settings: ProfileSettings, spec: str, /) -> LabelledImages:
    """Load the images of a data set according to the settings."""
    return load_dataset(
        spec,
        split=settings.split,
        download=settings.download,
        limit=settings.limit,
        fitting=Fit.of(settings.resize, settings.crop),
        statistics=settings.normalise == "dataset",
    )


def _of_another_package(file: Path) -> EntryPoint | None:
    """Return the runtime of another package that recognises the file."""
    others = [point for point in entry_points(group=GROUP) if point.name not in OURS] if file.is_file() else []
    return next((point for point in others if _loaded(point).opens(file)), None)


def _loaded(point: EntryPoint) -> Runtime:
    try:
        runtime: Runtime = point.load()()
    except (ImportError, AttributeError) as error:
        raise ProfilerError(f"the runtime {point.name} ({point.value}) cannot be loaded: {error}") from error
    return runtime


def _check_onnx(settings: ProfileSettings) -> None:
    """Refuse an ONNX file that needs more than ONNX's operators and its own folder, and settings that only PyTorch has."""
    from profilers.models.onnx.checking import check_file

    if settings.compile:
        raise ValueError("--compile compiles PyTorch models; ONNX Runtime compiles every model as it opens it")
    if settings.precision != "fp32" or settings.channels_last:
        raise ValueError(f"{settings.model} has its precision and layout in the file; leave out --precision and --channels-last")
    if settings.entry or settings.rename or not settings.strict or settings.batch_axis:
        raise ValueError(
            f"{settings.model} is an ONNX model; --entry, --rename, --no-strict and --batch-axis are for PyTorch models"
        )
    code, _, name = (settings.dataset or "").rpartition(":")
    if settings.metric or (code and name.isidentifier()):
        raise ValueError("--metric, and a --dataset that is code, are run by PyTorch; an ONNX model takes images from files")
    if (settings.resize or settings.crop) and find_spec("torchvision") is None:
        raise ProfilerError("torchvision, which resizes images, is not installed: pip install 'ecosel[torch]'")
    if settings.mode == "pipelined":
        raise ValueError("mode 'pipelined' is for PyTorch models; use 'paper' for ONNX models")
    check_file(Path(settings.model))


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of the packages, as far as they are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
