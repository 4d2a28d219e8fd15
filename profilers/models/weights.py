"""Read saved weights and put them into a network."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from profilers.errors import ModelError
from profilers.models.formats import Format
from profilers.models.torch_errors import some

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

# where training loops put the weights of a checkpoint, most usual first
_ENTRIES = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "model_state")
# CVE-2026-24747: the restricted unpickler of older versions could be made to corrupt memory
_SAFE_SINCE = (2, 10)


def read(file: Path, format: Format, *, device: str, trust: bool) -> object:
    """Return what a file of safetensors or torch.save holds; without trust by torch's restricted unpickler only."""
    import torch

    if format == "safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise ModelError(f"{file} is a safetensors file; pip install safetensors") from error
        return load_file(file, device=device)
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_SINCE and not trust:
        raise ModelError(
            f"{file}: opening a file of torch.save is not safe in torch {torch.__version__} (CVE-2026-24747); "
            "install torch 2.10 or newer, or convert it to safetensors"
        )
    # an open file: by a name, torch would take a pickle called .safetensors for one
    with file.open("rb") as content:
        try:
            return torch.load(content, map_location=device, weights_only=True)
        except pickle.UnpicklingError as error:
            if not trust:
                # torch's own message tells to switch the check off; it is not repeated
                raise ModelError(
                    f"{file} is more than plain weights: opening it can run any code; "
                    "--trust opens it, if you know who made it; better save the state_dict() as safetensors"
                ) from error
        content.seek(0)
        return torch.load(content, map_location=device, weights_only=False)


def whole_module(content: object) -> Module | None:
    """Return the network where one was pickled whole, bare or as an entry of a checkpoint."""
    import torch

    if isinstance(content, torch.nn.Module):
        return content
    if isinstance(content, Mapping):
        return next((content[name] for name in _ENTRIES if isinstance(content.get(name), torch.nn.Module)), None)
    return None


def fill(network: Module, content: object, *, file: Path, factory: str) -> tuple[str, ...]:
    """Load the weights that `content` holds into a network; return what was assumed. ModelError tells keys that differ."""
    notes: list[str] = []
    state = _state(content, notes)
    if state is None:
        raise ModelError(f"{file} holds no state_dict ({_described(content)})")
    wanted = network.state_dict()
    state = _without_prefix(state, set(wanted), notes)
    unlike = [
        f"{key} {_shape(state[key])} in the file, {_shape(wanted[key])} in the network"
        for key in wanted
        if key in state and _shape(state[key]) != _shape(wanted[key])
    ]
    if unlike:
        raise ModelError(f"{file} does not fit {factory}: {some(unlike)}")
    kinds = {tensor.dtype for tensor in state.values() if hasattr(tensor, "dtype") and tensor.dtype.is_floating_point}
    if others := {str(kind).removeprefix("torch.") for kind in kinds} - {"float32"}:
        notes.append(f"weights saved as {', '.join(sorted(others))} are cast to the network's own type")
    result = network.load_state_dict(state, strict=False)
    if result.missing_keys or result.unexpected_keys:
        parts = [("lacks", result.missing_keys), ("also has", result.unexpected_keys)]
        raise ModelError(
            f"{file} does not fit {factory}: it {'; it '.join(f'{verb} {some(keys)}' for verb, keys in parts if keys)}"
        )
    return tuple(notes)


def _state(content: object, notes: list[str], depth: int = 2) -> Mapping[str, Tensor] | None:
    """Find the state_dict: the mapping itself, or an entry of a checkpoint that holds one."""
    import torch

    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        return None
    if depth:
        for name in _ENTRIES:
            if isinstance(content.get(name), Mapping) and (found := _state(content[name], notes, depth - 1)) is not None:
                notes.append(f"weights taken from the entry {name!r} of a checkpoint")
                return found
    return content if any(isinstance(value, torch.Tensor) for value in content.values()) else None


def _without_prefix(state: Mapping[str, Tensor], wanted: set[str], notes: list[str]) -> Mapping[str, Tensor]:
    """Strip what wrappers put before every key (DataParallel: module., torch.compile: _orig_mod., Lightning: model.)."""
    from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

    stripped: OrderedDict[str, Tensor] = OrderedDict(state)
    if hasattr(state, "_metadata"):
        stripped._metadata = OrderedDict(state._metadata)  # type: ignore[attr-defined]  # versions of layers
    prefixes = []
    while stripped and wanted and not wanted & stripped.keys():
        prefix = next(iter(stripped)).partition(".")[0] + "."
        if not all(key.startswith(prefix) and key != prefix for key in stripped):
            return state
        consume_prefix_in_state_dict_if_present(stripped, prefix)
        prefixes.append(prefix)
    if prefixes:
        notes.append(f"prefix {''.join(prefixes)!r} removed from every key")
    return stripped


def _shape(tensor: object) -> str:
    return "x".join(map(str, getattr(tensor, "shape", ()))) or "scalar"


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return "entries " + some([repr(key) for key in content]) if content else "an empty dict"
    return f"a {type(content).__name__}"
