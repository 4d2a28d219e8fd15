"""Load the weights of a checkpoint into a network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from profilers.errors import ModelError
from profilers.models.torch_errors import some
from profilers.models.weights.entries import find_state
from profilers.models.weights.keys import match

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Fitting:
    """How weights are loaded: the entry of a checkpoint, OLD=NEW for keys, whether all must match; a candidate's file."""

    entry: str | None = None
    renames: tuple[str, ...] = ()
    strict: bool = True
    weights: str | None = None


def fill(
    network: Module, content: object, how: Fitting, /, *, file: Path, factory: str, aliases: Mapping[str, str]
) -> tuple[str, ...]:
    """Load the weights in `content` into a network; return the assumptions made. Raises ModelError listing keys that differ.

    `aliases` names keys that a file omits because another one holds the same numbers.
    """
    notes: list[str] = []
    saved = find_state(content, how.entry, notes, file=file)
    state = dict(saved)
    state |= {name: state[kept] for name, kept in aliases.items() if name not in state and kept in state}
    wanted = network.state_dict()
    matched = match(list(state), wanted, renames=how.renames)
    notes += matched.notes
    chosen = {name: state[key] for name, key in matched.keys.items()}
    unlike = [
        f"{name} {_shape(tensor)} in the file, {_shape(wanted[name])} in the network"
        for name, tensor in chosen.items()
        if _shape(wanted[name]) not in (_shape(tensor), "")
    ]
    tied = _tied(wanted, chosen)
    bad = {text.partition(" ")[0] for text in unlike}
    kept = {name: tensor for name, tensor in chosen.items() if name not in bad}
    result = network.load_state_dict(_with_metadata(kept, saved), strict=False)
    missing = [name for name in result.missing_keys if name not in tied and name not in bad]
    unused = [key for key in state if key not in matched.keys.values() and key != "n_averaged" and key not in aliases]
    inside = [key for key in unused if key not in matched.outside]
    if how.strict or not chosen:
        _refuse(unlike, missing, inside if chosen else unused, file=file, factory=factory)
    notes += _left_out(unused, missing, unlike)
    kinds = {tensor.dtype for tensor in chosen.values() if tensor.dtype.is_floating_point}
    if others := {str(kind).removeprefix("torch.") for kind in kinds} - {"float32"}:
        notes.append(f"weights saved as {', '.join(sorted(others))} are cast to the network's own type")
    if tied:
        notes.append(f"{_count(len(tied), 'key')} of the network are tied to others, and were saved once")
    return tuple(notes)


def _with_metadata(state: Mapping[str, Tensor], saved: object) -> Mapping[str, Tensor]:
    ordered = OrderedDict(state)
    if hasattr(saved, "_metadata"):  # versions of layers, which determine how older files are read
        ordered._metadata = OrderedDict(saved._metadata)  # type: ignore[attr-defined]
    return ordered


def _tied(wanted: Mapping[str, Tensor], chosen: Mapping[str, Tensor]) -> set[str]:
    """Return the keys of a network that share the tensor of a key found."""

    def place(tensor: Tensor) -> tuple[int, tuple[int, ...]] | None:
        try:
            return (tensor.data_ptr(), tuple(tensor.shape)) if tensor.numel() else None
        except RuntimeError:  # a lazy layer has no shape yet
            return None

    held = {place(wanted[name]) for name in chosen} - {None}
    return {name for name, tensor in wanted.items() if name not in chosen and hasattr(tensor, "shape") and place(tensor) in held}


def _refuse(unlike: Sequence[str], missing: Sequence[str], unused: Sequence[str], *, file: Path, factory: str) -> None:
    if unlike:
        raise ModelError(f"{file} does not fit {factory}: {some(unlike)}")
    parts = [("lacks", missing), ("also has", unused)]
    if missing or unused:
        said = "; it ".join(f"{verb} {some(keys)}" for verb, keys in parts if keys)
        raise ModelError(f"{file} does not fit {factory}: it {said} (--rename OLD=NEW maps keys, --no-strict leaves them out)")


def _left_out(unused: Sequence[str], missing: Sequence[str], unlike: Sequence[str]) -> list[str]:
    notes = []
    if unused:
        notes.append(f"{_count(len(unused), 'key')} of the file left out: {some(unused)}")
    if missing:
        notes.append(f"{_count(len(missing), 'key')} of the network not in the file, left at fresh values: {some(missing)}")
    if unlike:
        notes.append(f"{_count(len(unlike), 'key')} of another shape left out: {some(unlike)}")
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _shape(tensor: object) -> str:
    try:
        return "x".join(map(str, getattr(tensor, "shape", ()))) or "scalar"
    except RuntimeError:  # a lazy layer accepts any shape
        return ""
