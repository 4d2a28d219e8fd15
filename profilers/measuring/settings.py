"""What to measure and how, without torch: the options of `ecosel profile` as one value."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from profilers.measuring.measurement import Plan

Mode = Literal["paper", "device", "pipelined"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
MODES: tuple[Mode, ...] = ("paper", "device", "pipelined")
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")


@dataclass(frozen=True)
class Request:
    """What to measure and how; the names are those of the options of `ecosel profile`."""

    model: str
    factory: str | None = None
    factory_args: Mapping[str, Any] | None = None
    trust: bool = False
    inputs: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    dataset: str | None = None
    split: str = "test"
    limit: int | None = None
    normalise: str = "dataset"
    download: bool = False
    device: str = "auto"
    mode: Mode = "paper"
    batch_size: int = 100
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    meter: str | None = None
    plan: Plan = Plan()  # noqa: RUF009  frozen
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch-size is {self.batch_size}; it must be at least 1")
        if self.dataset and self.inputs:
            raise ValueError("--dataset and --input name two kinds of inputs; give one of them")

    @property
    def candidate(self) -> str:
        """Return a name for a row: the model's, and every setting that is not the default."""
        name = Path(self.model.replace("#", "-")).name
        stem = name.rsplit(".", 1)[0] or name
        settings = [f"b{self.batch_size}"] * (self.batch_size != 100) + [self.precision] * (self.precision != "fp32")
        settings += [self.mode] * (self.mode != "paper") + ["channels-last"] * self.channels_last + ["compiled"] * self.compile
        return "-".join([stem, *settings])

    @property
    def configuration(self) -> str:
        """Return JSON that is equal for two requests that measure the same: how long, and with which luck, is left out."""
        plain = {
            name: value for name, value in dataclasses.asdict(self).items() if name not in ("plan", "seed", "trust", "download")
        }
        file = Path(self.model)
        if file.is_file():
            with file.open("rb") as content:
                plain["model"] = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        return json.dumps(plain, sort_keys=True, default=str)
