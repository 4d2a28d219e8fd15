"""Hold the arguments of one call of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Batch:
    """The arguments of one call, including tensors in lists, tuples and dicts, and the number of images in them."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    images: int

    def map(self, change: Callable[[torch.Tensor], torch.Tensor], /) -> Batch:
        """Change every tensor, and rebuild the containers that hold them."""
        return Batch(tuple(_mapped(self.args, change)), _mapped(self.kwargs, change), self.images)

    def copy(self) -> Batch:
        """Return the same numbers in separate memory."""
        return self.map(torch.Tensor.clone)

    def same(self, other: Batch, /) -> bool:
        """Tell whether two batches hold the same numbers, counting NaN as equal to NaN."""
        return self.like(other) and all(_same(one, two) for one, two in zip(self.tensors, other.tensors, strict=True))

    def like(self, other: Batch, /) -> bool:
        """Tell whether two batches hold tensors of the same shapes and types."""
        kinds = [[(tensor.shape, tensor.dtype) for tensor in batch.tensors] for batch in (self, other)]
        return kinds[0] == kinds[1]

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [*_tensors(self.args), *_tensors(self.kwargs)]

    @property
    def bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(one, change) for one in value))
    if isinstance(value, list | tuple):
        return type(value)(_mapped(one, change) for one in value)
    if isinstance(value, dict):
        return {name: _mapped(one, change) for name, one in value.items()}
    return value


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    equal = one == two
    if one.is_floating_point() or one.is_complex():
        equal |= one.isnan() & two.isnan()
    return bool(equal.all())
