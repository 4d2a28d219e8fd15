"""Bring images of several sizes to one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIZE = re.compile(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?")


@dataclass(frozen=True)
class Fit:
    """The shorter side, or height and width, to resize to; then height and width of the middle to cut out."""

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None

    @classmethod
    def of(cls, resize: str | None, crop: str | None) -> Fit:
        """Read "256" and "256x192" (height x width); ValueError for anything else."""
        return cls(*(_size(name, text) for name, text in (("resize", resize), ("crop", crop))))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize by torchvision, bilinear and antialiased, and crop one image [channels, height, width]."""
        if self.resize is None and self.crop is None:
            return image
        import torch
        from torchvision.transforms.v2 import functional

        tensor = torch.from_numpy(np.array(image))
        if self.resize is not None:
            tensor = functional.resize(tensor, list(self.resize), antialias=True)
        if self.crop is not None:
            tensor = functional.center_crop(tensor, [*self.crop, *self.crop][:2])
        fitted: NDArray[np.uint8] = tensor.numpy()
        return fitted


def _size(name: str, text: str | None) -> tuple[int, ...] | None:
    if text is not None and not _SIZE.fullmatch(text):
        raise ValueError(f"--{name} {text!r} is not a size such as 256, or 256x192 (height x width)")
    return tuple(map(int, text.split("x"))) if text else None


AS_IT_IS = Fit()
