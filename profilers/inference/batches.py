"""The arguments of one call of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """The arguments of one call, and how many images they hold."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    images: int

    def map(self, change: Callable[[torch.Tensor], torch.Tensor], /) -> Batch:
        def one(value: object) -> object:
            return change(value) if isinstance(value, torch.Tensor) else value

        return Batch(
            tuple(one(value) for value in self.args), {name: one(value) for name, value in self.kwargs.items()}, self.images
        )

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, torch.Tensor)]
