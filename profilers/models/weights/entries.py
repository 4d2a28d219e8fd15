"""Find the weights that a checkpoint holds, by the names that training loops give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from profilers.errors import ModelError
from profilers.models.torch_errors import some

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

# entries in which training loops store the weights of a checkpoint, the most usual first
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "model_state")
_AVERAGED = re.compile(r"(^|[._])(e[wm]a|swa|averaged?|shadow)(\d*$|[._])|ema$", re.IGNORECASE)
_DEEPEST = 3


def find_state(content: object, entry: str | None, notes: list[str], /, *, file: object) -> Mapping[str, Tensor]:
    """Return the state_dict in a file: all of it, the named entry, or the one that usually holds the weights."""
    found = dict(_entries(content, _is_state))
    path = _chosen(found, entry, f"{file} holds no state_dict ({_described(content)})", file=file)
    if path:
        notes.append(f"weights taken from the entry {path!r} of a checkpoint")
    _mention_averages(found, path, notes)
    return found[path]  # type: ignore[return-value]


def find_module(content: object, entry: str | None, notes: list[str], /, *, file: object) -> Module | None:
    """Return a network that was pickled whole, bare or as an entry of a checkpoint."""
    found = dict(_entries(content, _is_module))
    if not found:
        return None
    if entry is not None and entry not in found and entry in dict(_entries(content, _is_state)):
        return None
    path = _chosen(found, entry, "", file=file)
    _mention_averages(found, path, notes)
    return found[path]


def _is_state(value: object) -> bool:
    import torch

    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        return False
    return any(isinstance(one, torch.Tensor) for one in value.values())


def _is_module(value: object) -> bool:
    import torch

    return isinstance(value, torch.nn.Module)


def _entries(
    content: object, wanted: Callable[[object], bool], path: str = "", depth: int = 0, seen: set[tuple[int, int]] | None = None
) -> Iterator[tuple[str, object]]:
    """Yield (path, value) of matching entries, the outermost first; "" is the content itself.

    An entry that a pickle names many times is looked at once for each depth.
    """
    import torch

    seen = set() if seen is None else seen
    if (id(content), depth) in seen:
        return
    seen.add((id(content), depth))
    if wanted(content):
        yield path, content
    if depth < _DEEPEST and isinstance(content, Mapping) and not isinstance(content, torch.nn.Module):
        for name, value in content.items():
            if isinstance(name, str) and not isinstance(value, torch.Tensor):
                yield from _entries(value, wanted, f"{path}.{name}" if path else name, depth + 1, seen)


def _chosen(found: Mapping[str, object], entry: str | None, nothing: str, *, file: object) -> str:
    named = [path for path in found if path]
    there = f"it has {', '.join(named[:12])}" if named else "it has no entries, and is weights as a whole"
    if entry is not None:
        if entry in found:
            return entry
        raise ModelError(f"{file} has no weights in the entry {entry!r}; {there}")
    if not found:
        raise ModelError(nothing)
    usual = [path for name in _USUAL for path in named if path.split(".")[0] == name and not _AVERAGED.search(path)]
    if usual:
        return usual[0]
    if "" in found:
        return ""
    plain = [path for path in named if not _AVERAGED.search(path)] or named
    if len(plain) == 1:
        return plain[0]
    raise ModelError(f"{file} holds several weights; choose with --entry: {there}")


def _mention_averages(found: Mapping[str, object], path: str, notes: list[str]) -> None:
    if not _AVERAGED.search(path) and (averaged := [name for name in found if _AVERAGED.search(name)]):
        notes.append(f"the checkpoint also holds averaged weights (EMA); --entry {averaged[0]} measures them")


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return "entries " + some([repr(key) for key in content]) if content else "an empty dict"
    return f"a {type(content).__name__}"
