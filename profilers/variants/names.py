"""Define the variants that can be made: their names, and the packages that each needs; imports no torch."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from profilers.errors import ProfilerError

Kind = Literal["fold", "bf16", "prune", "lowrank", "onnx", "int8"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_TRAINED: tuple[Kind, ...] = ("prune", "lowrank")
_ONNX = ("onnx", "onnxscript", "onnxruntime")
# package on the index: name of its module
PRUNING = ("torch-pruning", "torch_pruning")


@dataclass(frozen=True)
class Variant:
    """One variant: its kind, and for prune and lowrank the percentage of channels or weights removed."""

    kind: Kind
    percent: int | None = None

    @property
    def name(self) -> str:
        return self.kind if self.percent is None else f"{self.kind}-{self.percent}"

    @property
    def is_exact(self) -> bool:
        """Tell whether its scores are the parent's, up to rounding."""
        return self.kind in ("fold", "onnx")

    @property
    def is_trained(self) -> bool:
        """Tell whether it is fine-tuned."""
        return self.kind in _TRAINED

    @property
    def suffix(self) -> str:
        return ".onnx" if self.kind in ("onnx", "int8") else ".pt2"


def parse_variants(text: str, /) -> tuple[Variant, ...]:
    """Return the variants in "fold,prune-25,int8", each once. Raises ValueError naming unknown ones.

    >>> [variant.name for variant in parse_variants("fold, prune-25")]
    ['fold', 'prune-25']
    """
    return tuple(dict.fromkeys(_variant(word.strip()) for word in text.split(",")))


def _variant(word: str) -> Variant:
    parts = re.fullmatch(r"([a-z]+\d*?)(?:-(\d{1,3}))?|(bf16|int8)", word)
    kind = (parts[3] or parts[1]) if parts else word
    if kind not in KINDS:
        raise ValueError(f"there is no variant {word!r}; choose from fold, bf16, prune-25, lowrank-50, onnx, int8")
    percent = int(parts[2]) if parts and parts[2] else None
    if (percent is not None) != (kind in _TRAINED):
        raise ValueError(f"variant {word!r}: " + (f"write {kind}-25, say" if kind in _TRAINED else f"{kind} takes no number"))
    if percent is not None and not 0 < percent < 100:
        raise ValueError(f"variant {word!r}: the number is a percentage between 1 and 99")
    return Variant(kind, percent)


def check_packages(variants: Sequence[Variant], /) -> None:
    """Raise ProfilerError if a package is missing that a variant needs."""
    for variant in variants:
        if variant.suffix == ".onnx" and (missing := [name for name in _ONNX if not is_installed(name)]):
            raise missing_package(variant, missing)


def missing_package(variant: Variant, names: Sequence[str], /) -> ProfilerError:
    return ProfilerError(f"variant {variant.name} needs {', '.join(names)}: pip install 'ecosel[compress]'")


def is_installed(module: str, /) -> bool:
    return importlib.util.find_spec(module) is not None
