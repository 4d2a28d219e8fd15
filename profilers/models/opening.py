"""Turn a saved model of any format into a callable torch module, without running a stranger's code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path

from profilers.errors import ModelError
from profilers.models import factories, signatures, weights
from profilers.models.formats import Format, Recognised, before_2_8, recognise
from profilers.models.inputs import Input
from profilers.models.parameters import Parameters, count_parameters
from profilers.models.torch_errors import in_one_line, quiet, some

__all__ = ["Parameters", "SavedModel", "count_parameters", "open_model"]

# Formats that hold a program: what torch 2.15 does with each is in the README, with the place in its source.
_RUNS = {
    "torchscript": "a TorchScript program: torch.jit.load runs its __setstate__, and its operators write files",
    "export": "a torch.export program: torch.export.load unpickles, evaluates and compiles text from it",
    "aotinductor": "an AOTInductor package: native code, which runs as soon as it is loaded",
    "pickle": "a pickle that names {foreign}: opening it can run any code",
}
_FIT = "--trust opens it, if you know who made it; safetensors or a plain state_dict() with --factory needs no trust"


@dataclass(frozen=True)
class SavedModel:
    """An opened model, in inference mode where its format knows one.

    `inputs` is None where the file does not tell them; `batch` is the only batch size that it takes, None for any or
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
) -> SavedModel:
    """Open a saved model, or "ARCHIVE#CANDIDATE" of an evolver's archive, on a torch device.

    `factory` names the code that builds the network of a state_dict or safetensors file.
    Without `trust`, only safetensors and torch's restricted unpickler ever see the file.
    Raises ModelError where the file is missing, unsafe, damaged or not for this machine, ValueError for wrong arguments.
    """
    recognised = check_model(path, factory=factory, trust=trust)
    _check_device(device)
    if recognised.format == "genome":
        archive, _, candidate = path.rpartition("#")
        return _genome(archive, candidate, device)
    file = Path(path)
    with quiet(), in_one_line(path):
        opened = _opened(file, recognised, factory, factory_args, device=device, trust=trust)
    with file.open("rb") as content:
        return replace(opened, sha256=hashlib.file_digest(content, "sha256").hexdigest())


def check_model(path: str, *, factory: str | None = None, trust: bool = False) -> Recognised:
    """Return the format of a saved model after every check that needs no torch; raises as `open_model` does."""
    if factory is not None:
        factories.split(factory)
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
        raise ModelError(f"{path} holds weights without a network; name what builds it: --factory torchvision:resnet18, say")
    if factory is not None and recognised.format in ("torchscript", "export", "aotinductor"):
        raise ValueError(f"factory {factory!r}: {path} is {recognised.format}, which holds its network")
    return recognised


def _opened(
    file: Path, recognised: Recognised, factory: str | None, arguments: Mapping[str, object] | None, *, device: str, trust: bool
) -> SavedModel:
    if recognised.format == "torchscript":
        return _torchscript(file, device)
    if recognised.format == "export":
        return _export(file, device)
    if recognised.format == "aotinductor":
        return _aotinductor(file, device)
    content = weights.read(file, recognised.format, device=device, trust=trust)
    module = weights.whole_module(content)
    if module is not None:
        if factory is not None:
            raise ModelError(f"{file} holds a whole module, which needs no factory ({factory})")
        return SavedModel(module.to(device).eval(), "pickle")
    if factory is None:
        raise ModelError(f"{file} holds weights without a network; name what builds it: --factory torchvision:resnet18, say")
    network = factories.build(factory, arguments)
    notes = weights.fill(network, content, file=file, factory=factory)
    return SavedModel(
        network.to(device).eval(), "safetensors" if recognised.format == "safetensors" else "state_dict", notes=notes
    )


def _torchscript(file: Path, device: str) -> SavedModel:
    import torch

    module = torch.jit.load(str(file), map_location=torch.device(device)).eval()
    taken = ", ".join(f"{argument.name}: {argument.type}" for argument in module.forward.schema.arguments[1:])
    return SavedModel(module, "torchscript", inputs=signatures.traced(file), notes=(f"forward takes ({taken})",))


def _export(file: Path, device: str) -> SavedModel:
    import torch
    from torch.export.pt2_archive._package import load_pt2

    with file.open("rb") as content:
        # torch.export.load hides what fails
        programs = {"model": torch.export.load(content)} if before_2_8(file) else load_pt2(content).exported_programs
    if len(programs) != 1:
        raise ModelError(f"{file} holds {len(programs)} programs ({some(tuple(programs))}); save the one to measure alone")
    (program,) = programs.values()
    inputs, batch, notes = signatures.exported(program)
    saved_on = {tensor.device.type for tensor in program.state_dict.values()} or {"cpu"}
    if saved_on != {torch.device(device).type}:
        program = torch.export.passes.move_to_device_pass(program, device)
    return SavedModel(program.module(), "export", inputs, batch, notes)


def _aotinductor(file: Path, device: str) -> SavedModel:
    import torch

    index = torch.device(device).index
    with file.open("rb") as content:
        model = torch._inductor.aoti_load_package(content, device_index=-1 if index is None else index)
    compiled = model.get_metadata().get("AOTI_DEVICE_KEY", device)
    if compiled != torch.device(device).type:
        raise ModelError(f"{file} is compiled for {compiled}, not {device}; choose that device, or compile it again")
    return SavedModel(model, "aotinductor", notes=("an AOTInductor package does not tell the shapes of its inputs",))


def _genome(archive: str, candidate: str, device: str) -> SavedModel:
    """Build a candidate of a search by the entry point that its package registers: profilers itself knows no search."""
    found = entry_points(group="profilers.models", name="candidate")
    try:
        build = next(iter(found)).load()
    except (StopIteration, ModuleNotFoundError, AttributeError) as error:
        raise ModelError(
            f"{archive}#{candidate}: this installation cannot build candidates; install ecosel[torch] again"
        ) from error
    with quiet(), in_one_line(f"{archive}#{candidate}"):
        module, shape = build(archive, candidate)
        inputs = (Input(None, tuple(shape)),)
        return SavedModel(module.to(device).eval(), "genome", inputs, notes=("weights are fresh: its accuracy means nothing",))


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device {device!r}: torch knows no such device") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device}: torch finds no CUDA GPU here; use cpu, or check the driver (nvidia-smi)")
