"""Load a complete program from a file. Loading runs its code, so this needs trust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from profilers.errors import ModelError
from profilers.models.formats import before_2_8
from profilers.models.inputs import Input
from profilers.models.programs import signatures
from profilers.models.programs.batch_axis import batched
from profilers.models.programs.training_mode import evaluated_export, evaluated_script
from profilers.models.torch_errors import some


@dataclass(frozen=True)
class Program:
    """A program with its inputs and the only batch that it takes; both None if they are not known."""

    module: Callable[..., object]
    inputs: tuple[Input, ...] | None = None
    batch: int | None = None
    notes: tuple[str, ...] = ()


def torchscript(file: Path, device: str, batch_axis: Sequence[int] | None) -> Program:
    import torch

    module = torch.jit.load(str(file), map_location=torch.device(device)).eval()
    notes = evaluated_script(module)
    taken = ", ".join(f"{argument.name}: {argument.type}" for argument in module.forward.schema.arguments[1:])
    return _with_inputs(module, signatures.traced(file), (*notes, f"forward takes ({taken})"), batch_axis, device)


def export(file: Path, device: str, batch_axis: Sequence[int] | None) -> Program:
    import torch
    from torch.export.pt2_archive._package import load_pt2

    with file.open("rb") as content:
        # torch.export.load hides what fails
        programs = {"model": torch.export.load(content)} if before_2_8(file) else load_pt2(content).exported_programs
    if len(programs) != 1:
        raise ModelError(f"{file} holds {len(programs)} programs ({some(tuple(programs))}); save the one to measure alone")
    (program,) = programs.values()
    recorded, notes = signatures.exported(program)
    saved_on = {tensor.device.type for tensor in program.state_dict.values()} or {"cpu"}
    if saved_on != {torch.device(device).type}:
        program = torch.export.passes.move_to_device_pass(program, device)
    module = program.module()
    return _with_inputs(module, recorded, (*evaluated_export(module), *notes), batch_axis, device)


def aotinductor(file: Path, device: str) -> Program:
    import torch

    index = torch.device(device).index
    with file.open("rb") as content:
        model = torch._inductor.aoti_load_package(content, device_index=-1 if index is None else index)
    compiled = model.get_metadata().get("AOTI_DEVICE_KEY", device)
    if compiled != torch.device(device).type:
        raise ModelError(f"{file} is compiled for {compiled}, not {device}; choose that device, or compile it again")
    return Program(model, notes=("an AOTInductor package does not state the shapes of its inputs",))


def _with_inputs(
    module: Callable[..., object],
    recorded: tuple[signatures.Recorded, ...] | None,
    notes: tuple[str, ...],
    batch_axis: Sequence[int] | None,
    device: str,
) -> Program:
    if not recorded:
        return Program(module, notes=notes)
    inputs, batch, more = batched(module, recorded, batch_axis, device=device)
    return Program(module, inputs, batch, (*notes, *more))
