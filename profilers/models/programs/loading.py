"""Load a complete program from a file. Loading runs its code, so this needs trust."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profilers.errors import ModelError
from profilers.models.formats import before_2_8
from profilers.models.inputs import Input
from profilers.models.programs import signatures
from profilers.models.programs.batch_axis import batched
from profilers.models.torch_errors import some

# (operator, its argument "training"): `eval()` does not change what a trace or an export has recorded
_SWITCHES = {
    "dropout": 2, "dropout_": 2, "feature_dropout": 2, "feature_dropout_": 2, "alpha_dropout": 2, "alpha_dropout_": 2,
    "feature_alpha_dropout": 2, "feature_alpha_dropout_": 2, "native_dropout": 2, "batch_norm": 5, "native_batch_norm": 5,
    "_native_batch_norm_legit": 5, "_native_batch_norm_legit_functional": 5,
    "cudnn_batch_norm": 5, "miopen_batch_norm": 5, "rrelu": 3, "rrelu_": 3, "rrelu_with_noise": 4,
}  # fmt: skip
# operators with only the share to drop: lstm.input, lstm.data
_DROPOUTS = {"lstm": (5, 6), "gru": (5, 6), "rnn_tanh": (5, 6), "rnn_relu": (5, 6), "scaled_dot_product_attention": (4,)}
_RANDOM = {"bernoulli", "bernoulli_", "rand", "rand_like", "randn", "randn_like", "normal", "normal_", "uniform_"}


@dataclass(frozen=True)
class Program:
    """A program with its inputs and the only batch size that it takes; both None if unknown."""

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


def load_exported(file: Path, /) -> Any:
    """Load a program saved by torch.export.

    torch warns that the bytes of the file, over which it lays its tensors, are not writable; it never writes to them.
    """
    import torch

    with file.open("rb") as content, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        return torch.export.load(content)


def export(file: Path, device: str, batch_axis: Sequence[int] | None) -> Program:
    import torch
    from torch.export.pt2_archive._package import load_pt2

    if before_2_8(file):
        programs = {"model": load_exported(file)}
    else:
        with file.open("rb") as content:
            programs = load_pt2(content).exported_programs  # torch.export.load hides the failure
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


def evaluated_script(module: Any, /) -> tuple[str, ...]:
    """Switch a loaded TorchScript program to evaluation before its first run; return the layers switched, or that cannot be."""
    switched: Counter[str] = Counter()
    random: set[str] = set()
    for graph in _graphs(module):
        for name, place in _SWITCHES.items():
            for node in graph.findAllNodes(f"aten::{name}"):
                # without running statistics, a batch norm has only those of the batch
                if "batch_norm" in name and list(node.inputs())[3].type().kind() == "NoneType":
                    continue
                if _off(graph, node, place, False):
                    switched[name.rstrip("_")] += 1
        for name, places in _DROPOUTS.items():
            for node in graph.findAllNodes(f"aten::{name}"):
                switched[f"dropout of {name}"] += any(_off(graph, node, place, 0.0) for place in places)
        random |= {name for name in _RANDOM if graph.findNode(f"aten::{name}")}
    return _said(+switched, random)


def _graphs(module: Any) -> Iterator[Any]:
    for one in module.modules():
        for name in one._c._method_names():
            yield one._c._get_method(name).graph


def _off(graph: Any, node: Any, place: int, off: bool | float) -> bool:
    """Replace a constant argument, of the type of `off` and on, by `off`; tell whether it was one."""
    value = list(node.inputs())[place].toIValue()
    if type(value) is not type(off) or not value:
        return False
    constant = graph.insertConstant(off)
    constant.node().moveBefore(node)
    node.replaceInput(place, constant)
    return True


def evaluated_export(graph_module: Any, /) -> tuple[str, ...]:
    """Switch the module of a torch.export program to evaluation; return the layers switched, or those that cannot be."""
    import torch

    switched: Counter[str] = Counter()
    random: set[str] = set()
    for graph in (one.graph for one in graph_module.modules() if isinstance(one, torch.fx.GraphModule)):
        for node in graph.nodes:
            if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
                continue
            name = node.target._schema.name.removeprefix("aten::")
            place = _SWITCHES.get(name)
            if name in _RANDOM:
                random.add(name)
            by_batch = "batch_norm" in name and node.args[3] is None
            if place is not None and not by_batch and len(node.args) > place and node.args[place] in (True, None):
                node.args = (*node.args[:place], False, *node.args[place + 1 :])
                switched[name.rstrip("_")] += 1
            for place in _DROPOUTS.get(name, ()):
                if len(node.args) > place and type(node.args[place]) is float and node.args[place]:
                    node.args = (*node.args[:place], 0.0, *node.args[place + 1 :])
                    switched[f"dropout of {name}"] += 1
    for one in graph_module.modules():
        if isinstance(one, torch.fx.GraphModule):
            one.recompile()
    return _said(switched, random)


def _said(switched: Counter[str], random: set[str]) -> tuple[str, ...]:
    notes = []
    if switched:
        found = ", ".join(f"{count} {name}" for name, count in sorted(switched.items()))
        notes.append(f"the program was saved in training mode; switched to evaluation: {found}")
    if random:
        notes.append(f"the program draws random numbers when it runs ({', '.join(sorted(random))}): its outputs vary")
    return tuple(notes)
