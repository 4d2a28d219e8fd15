"""Turn a saved model of any format into a callable torch module, without running a stranger's code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from profilers.errors import ModelError
from profilers.models import factories
from profilers.models.formats import Format, Recognised, recognise
from profilers.models.inputs import Input
from profilers.models.parameters import Parameters, count_parameters
from profilers.models.pretrained import files_of, folder_of, open_folder
from profilers.models.programs import loading
from profilers.models.torch_errors import in_one_line, quiet, some
from profilers.models.weights.entries import find_module
from profilers.models.weights.filling import Fitting, fill
from profilers.models.weights.reading import aliases, read

__all__ = ["Parameters", "SavedModel", "count_parameters", "open_model"]

# Formats that hold a program; the README describes how torch 2.15 opens each, citing its source.
_RUNS = {
    "torchscript": "a TorchScript program: torch.jit.load runs its __setstate__, and its operators write files",
    "export": "a torch.export program: torch.export.load unpickles, evaluates and compiles text from it",
    "aotinductor": "an AOTInductor package: native code that runs as soon as it is loaded",
    "pickle": "a pickle that names {foreign}: opening it can run any code",
}
_FIT = "--trust opens it, if you trust its author; safetensors or a plain state_dict() with --factory needs no trust"


@dataclass(frozen=True)
class SavedModel:
    """An opened model, in inference mode if its format has one.

    `inputs` is None if the file does not state them; `batch` is the only batch size that it takes, None for any or
    unknown; `sha256` is of the file, None for a genome, whose archive grows.
    """

    module: Callable[..., object]
    format: Format
    inputs: tuple[Input, ...] | None = None
    batch: int | None = None
    notes: tuple[str, ...] = ()
    sha256: str | None = None


def open_model(
    path: str,
    *,
    factory: str | None = None,
    factory_args: Mapping[str, object] | None = None,
    trust: bool = False,
    device: str = "cpu",
    batch_axis: Sequence[int] | None = None,
    fitting: Fitting = Fitting(),  # noqa: B008  frozen
) -> SavedModel:
    """Open a saved model, "ARCHIVE#CANDIDATE" in an evolver archive, or for "" the factory's network, on a torch device.

    `factory` names the code that builds the network of a state_dict or safetensors file, `fitting` tells how weights are loaded,
    `batch_axis` gives the batch dimension of a program's inputs.
    Without `trust`, only safetensors and torch's restricted unpickler read the file.
    Raises ModelError if the file is missing, unsafe, damaged or not for this machine; ValueError for wrong arguments.
    """
    recognised = check_model(path, factory=factory, trust=trust)
    _check_device(device)
    if recognised.format == "onnx":
        raise ModelError(f"{path} is an ONNX model, which PyTorch does not run; ecosel profile runs it in ONNX Runtime")
    if fitting.weights is not None and recognised.format != "genome":
        raise ValueError(f"--weights {fitting.weights} is for a candidate, ARCHIVE#CANDIDATE; give the file itself as the MODEL")
    file = Path(path)
    with quiet(), in_one_line(path or str(factory)):
        if recognised.format == "genome":
            archive, _, candidate = path.rpartition("#")
            return _genome(archive, candidate, fitting, device=device, trust=trust)
        if recognised.format in ("torchscript", "export", "aotinductor"):
            opened = _program(file, recognised.format, batch_axis, device=device)
        elif (folder := folder_of(file, factory) if path else None) is not None:
            network, notes = open_folder(folder, factory, factory_args, trust=trust, strict=fitting.strict)
            opened = SavedModel(network.to(device).eval(), "pretrained", notes=notes)
        else:
            opened = _network(path, recognised.format, factory, factory_args, fitting, device=device, trust=trust)
    return replace(opened, sha256=_digest(file)) if path else opened


def _digest(path: Path) -> str:
    files = files_of(path) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_model(path: str, *, factory: str | None = None, trust: bool = False) -> Recognised:
    """Return the format of a saved model after every check that needs no torch; raises the errors of `open_model`."""
    if factory is not None:
        factories.split(factory)
    if not path:
        return Recognised("factory")
    file = Path(path)
    if not file.exists():
        archive, mark, _ = path.rpartition("#")
        if mark and Path(archive).exists():
            return Recognised("genome")
        raise ModelError(f"{path} does not exist")
    recognised = recognise(file)
    if recognised.format in _RUNS and not trust:
        what = _RUNS[recognised.format].format(foreign=some(recognised.foreign))
        raise ModelError(f"{path} is {what}; {_FIT}")
    if factory is None and recognised.format in ("state_dict", "safetensors"):
        raise ModelError(
            f"{path} holds weights without a network; name the code that builds it, such as --factory torchvision:resnet18"
        )
    if factory is not None and recognised.format in ("torchscript", "export", "aotinductor", "onnx"):
        raise ValueError(f"factory {factory!r}: {path} is {recognised.format}, which holds its network")
    return recognised


def _network(
    path: str,
    format: Format,
    factory: str | None,
    arguments: Mapping[str, object] | None,
    fitting: Fitting,
    *,
    device: str,
    trust: bool,
) -> SavedModel:
    if not path and factory is not None:
        network = factories.build(factory, arguments)
        return SavedModel(network.to(device).eval(), "factory", notes=("weights are fresh: its accuracy is meaningless",))
    file, notes = Path(path), list[str]()
    content = read(file, format, device=device, trust=trust)
    module = find_module(content, fitting.entry, notes, file=file)
    if module is not None:
        if factory is not None:
            raise ModelError(f"{file} holds a whole module, which needs no factory ({factory})")
        return SavedModel(module.to(device).eval(), "pickle", notes=tuple(notes))
    if factory is None:
        raise ModelError(
            f"{file} holds weights without a network; name the code that builds it, such as --factory torchvision:resnet18"
        )
    network = factories.build(factory, arguments, weights_file=path)
    filled = fill(network, content, fitting, file=file, factory=factory, aliases=aliases(file, format))
    kind: Format = "safetensors" if format == "safetensors" else "state_dict"
    return SavedModel(network.to(device).eval(), kind, notes=filled)


def _program(file: Path, format: Format, batch_axis: Sequence[int] | None, *, device: str) -> SavedModel:
    if format == "aotinductor":
        program = loading.aotinductor(file, device)
    else:
        program = (loading.torchscript if format == "torchscript" else loading.export)(file, device, batch_axis)
    return SavedModel(program.module, format, program.inputs, program.batch, program.notes)


def _genome(archive: str, candidate: str, fitting: Fitting, *, device: str, trust: bool) -> SavedModel:
    """Build a candidate of a search by the entry point that its package registers, as profilers itself knows no search.

    Its weights come from a file, or were kept by the search; then the module's attribute `weights` is "trained".
    """
    build = _candidate_builder(f"{archive}#{candidate}")
    with quiet(), in_one_line(f"{archive}#{candidate}"):
        module, shape = build(archive, candidate)
        inputs = (Input(None, tuple(shape)),)
        if fitting.weights is not None:
            file = Path(fitting.weights)
            kind = check_model(fitting.weights, factory="candidate:network", trust=trust).format
            content = read(file, kind, device=device, trust=trust)
            named = f"candidate {candidate} of {archive}"
            notes = fill(module, content, fitting, file=file, factory=named, aliases=aliases(file, kind))
        elif getattr(module, "weights", None) == "trained":
            notes = ("the weights were trained by the search on its training images",)
        else:
            notes = ("weights are fresh: its accuracy is meaningless",)
        return SavedModel(module.to(device).eval(), "genome", inputs, notes=notes)


def drawn(path: str, /) -> tuple[Callable[..., object] | None, tuple[str, ...]]:
    """Return a candidate's network as its search drew it, with fresh weights, and its slots that do nothing.

    The network is None if every slot does something, or if the module of the entry point has no `drawn_network`.
    """
    archive, _, candidate = path.rpartition("#")
    build = getattr(sys.modules[_candidate_builder(path).__module__], "drawn_network", None)
    if build is None:
        return None, ()
    with quiet(), in_one_line(path):
        network, idle = build(archive, candidate)
    return network, tuple(map(str, idle))


def _candidate_builder(path: str) -> Callable[..., Any]:
    """Return the builder of candidates from the entry point that its package registers."""
    try:
        found: Callable[..., Any] = next(iter(entry_points(group="profilers.models", name="candidate"))).load()
    except (StopIteration, ModuleNotFoundError, AttributeError) as error:
        raise ModelError(f"{path}: this installation cannot build candidates; reinstall ecosel[torch]") from error
    return found


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device {device!r}: torch knows no such device") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device}: torch finds no CUDA GPU here; use cpu, or check the driver (nvidia-smi)")
