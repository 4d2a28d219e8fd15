"""Hold the options of `ecosel compress` as one value, and check them before anything is written."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from profilers.datasets import splits
from profilers.errors import ProfilerError
from profilers.measuring.settings import ProfileSettings
from profilers.variants.names import Variant, check_packages


@dataclass(frozen=True)
class CompressSettings:
    """The settings of the parent's profile, the variants to make, the folder for their files, and epochs of fine-tuning."""

    parent: ProfileSettings
    variants: tuple[Variant, ...]
    folder: Path
    finetune: int = 0

    def __post_init__(self) -> None:
        if self.parent.dataset is None:
            raise ValueError("--dataset is needed: variants are verified on its images")
        if self.finetune < 0:
            raise ValueError(f"--finetune is {self.finetune}; it must be 0 or more")

    @property
    def needs_training_images(self) -> bool:
        return any(variant.kind == "int8" or (variant.is_trained and self.finetune) for variant in self.variants)

    def path(self, variant: Variant, /) -> Path:
        """Return the file of a variant."""
        name = dataclasses.replace(self.parent, batch_size=100).candidate  # a file serves any batch size
        return self.folder / f"{name}-{variant.name}{variant.suffix}"


def check_settings(settings: CompressSettings, /) -> None:
    """Raise ProfilerError if a package, a folder or training images are missing, or if a file exists already."""
    check_packages(settings.variants)
    for variant in settings.variants:
        if (path := settings.path(variant)).exists():
            raise ProfilerError(f"{path} exists; remove it, or name another folder with -o")
    place = settings.folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ProfilerError(f"cannot write to {settings.folder}; name another folder with -o")
    dataset = settings.parent.dataset
    if dataset and settings.needs_training_images and "train" not in splits(dataset, download=settings.parent.download):
        raise ProfilerError(f"{dataset} has no training images, which fine-tuning and int8 need")
