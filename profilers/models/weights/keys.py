"""Match the keys of a state_dict with those of a network, allowing for prefixes and wrappers added in training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# inserted between the names of modules by torch.compile, FSDP, activation checkpoints and Lightning's Fabric
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
_INNER_PARALLEL = re.compile(r"\.module(?=\.)")
# AveragedModel counts the models averaged; wrappers of losses and metrics keep numbers beside the network
_COUNTER = "n_averaged"


@dataclass(frozen=True)
class Matched:
    """The file's key for each key of the network, the assumptions made, and keys outside the network's prefix."""

    keys: Mapping[str, str]
    notes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def match(keys: Sequence[str], wanted: Iterable[str], /, *, renames: Sequence[str] = ()) -> Matched:
    """Match keys by the interpretation that fits most of them; raise ValueError for an invalid rename."""
    names = {_renamed(key, renames): key for key in keys if key != _COUNTER}
    plain = {_WRAPPERS.sub("", name): key for name, key in names.items()}
    targets = {_WRAPPERS.sub("", name): name for name in wanted}
    readings = [plain, {_INNER_PARALLEL.sub("", name): key for name, key in plain.items()}]
    candidates = [(plain, "", "")]
    if _fitting(plain, "", "", targets) < min(len(plain), len(targets)):
        candidates = [(reading, prefix, "") for reading in readings for prefix in _prefixes(reading)]
        candidates += [(plain, "", prefix) for prefix in _prefixes(targets) if prefix]
    reading, prefix, added = max(
        candidates, key=lambda one: (_fitting(one[0], one[1], one[2], targets), -len(one[1]), -len(one[2]))
    )
    fitting = {targets[added + name.removeprefix(prefix)]: key for name, key in reading.items()
               if name.startswith(prefix) and added + name.removeprefix(prefix) in targets}  # fmt: skip
    notes = []
    removed = "".join(dict.fromkeys(part for key in keys for part in _WRAPPERS.findall(key) if key in fitting.values()))
    if removed and not set(fitting) & set(fitting.values()):
        notes.append(f"wrappers {removed!r} removed from the keys")
    if prefix:
        notes.append(f"prefix {prefix!r} removed from every key")
    if added:
        notes.append(f"prefix {added!r} added to every key")
    outside = tuple(key for name, key in reading.items() if prefix and not name.startswith(prefix))
    return Matched(fitting, tuple(notes), outside)


def _renamed(key: str, renames: Sequence[str]) -> str:
    for text in renames:
        old, equals, new = text.partition("=")
        if not equals or not old:
            raise ValueError(f"--rename {text!r} is not OLD=NEW, such as gamma=weight")
        try:
            key = re.sub(old, new, key)
        except (re.error, IndexError) as error:
            raise ValueError(f"--rename {text!r}: {error}") from None
    return key


def _prefixes(names: Mapping[str, str]) -> list[str]:
    """Return "" and the prefixes of the names, up to three modules deep."""
    found = {""}
    for name in names:
        parts = name.split(".")
        found |= {".".join(parts[:count]) + "." for count in range(1, min(4, len(parts)))}
    return sorted(found)


def _fitting(reading: Mapping[str, str], prefix: str, added: str, targets: Mapping[str, str]) -> int:
    return sum(added + name.removeprefix(prefix) in targets for name in reading if name.startswith(prefix))
