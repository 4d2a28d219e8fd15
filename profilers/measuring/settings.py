"""Hold the options of `ecosel profile` as one value; imports no torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from profilers.inference.protocol import Mode, Precision
from profilers.meters.calibration import Calibration
from profilers.models.onnx.checking import digest_of


@dataclass(frozen=True)
class Plan:
    """How long to measure: seconds, and the relative half-width of the 95 % interval to reach."""

    ci: float = 0.01
    min_s: float = 10.0
    max_s: float = 60.0
    warm_up_s: float = 60.0  # at most
    flat_s: float = 5.0  # seconds over which power and temperature must be flat
    idle_s: float = 5.0
    group_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.ci < 1:
            raise ValueError(f"ci is {self.ci}; it must lie between 0 and 1 (1% is 0.01)")
        if not 0 < self.min_s <= self.max_s:
            raise ValueError(f"max-seconds is {self.max_s:g}; it must be at least {self.min_s:g}, the shortest measurement")

    @classmethod
    def quick(cls, *, ci: float = 0.01, max_s: float = 10.0) -> Plan:
        return cls(ci=ci, min_s=min(3.0, max_s), max_s=max_s, warm_up_s=3.0, flat_s=1.0, idle_s=1.0, group_s=0.3)

    def of_time_alone(self) -> Plan:
        """Return a plan for a third of the seconds, as nothing lags without a meter."""
        names = ("min_s", "max_s", "warm_up_s", "flat_s", "group_s")
        return replace(self, **{name: getattr(self, name) / 3 for name in names})


@dataclass(frozen=True)
class Progress:
    """The progress of a measurement: the phase, the share of it done (0 to 1), and the seconds that it may still take."""

    phase: str
    done: float
    left_s: float


Show = Callable[[Progress], None]


@dataclass(frozen=True)
class ProfileSettings:
    """What to measure, and how; fields are named after the options of `ecosel profile`."""

    model: str  # "" for the factory's network with fresh weights
    factory: str | None = None
    factory_args: Mapping[str, Any] | None = None
    weights: str | None = None  # for a candidate of a search
    trust: bool = False
    entry: str | None = None
    rename: tuple[str, ...] = ()
    strict: bool = True
    inputs: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    batch_axis: tuple[int, ...] | None = None
    dataset: str | None = None
    split: str = "test"
    limit: int | None = None
    normalise: str = "dataset"
    resize: str | None = None
    crop: str | None = None
    metric: str | None = None
    better: Literal["larger", "smaller"] | None = None
    download: bool = False
    device: str = "auto"
    mode: Mode = "paper"
    batch_size: int = 100
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    meter: str | None = None
    calibration: Calibration | None = None
    plan: Plan = Plan()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch-size is {self.batch_size}; it must be at least 1")
        if self.dataset and self.inputs:
            raise ValueError("--dataset and --input exclude each other; give one of them")

        if not self.model and not self.factory:
            raise ValueError("no model was given: name a file, or a --factory that builds one")
        if (self.metric is None) != (self.better is None):
            raise ValueError("--metric and --better go together: add --better larger or --better smaller")
        if self.dataset and self.batch_axis:
            raise ValueError("--batch-axis applies to --input; a data set's batch dimension is the first")

    @property
    def name(self) -> str:
        """Return the model's name in outputs: its file, or the factory that built it."""
        return self.model or str(self.factory)

    @property
    def candidate(self) -> str:
        """Return a name for a row: the model's, and every setting that differs from the default."""
        name = Path(self.model).name if self.model else self.name.rpartition(":")[2]
        archive, mark, candidate = name.rpartition("#")
        stem = f"{Path(archive).stem}-{candidate}" if mark else name.rsplit(".", 1)[0] or name
        settings = [f"b{self.batch_size}"] * (self.batch_size != 100) + [self.precision] * (self.precision != "fp32")
        settings += [self.mode] * (self.mode != "paper") + ["channels-last"] * self.channels_last + ["compiled"] * self.compile
        return "-".join([stem, *settings])

    @property
    def configuration(self) -> str:
        """Return JSON that is equal for two requests measuring the same, whatever their plan and seed."""
        plain = {
            name: value for name, value in dataclasses.asdict(self).items() if name not in ("plan", "seed", "trust", "download")
        }
        # unused options of later versions leave the text as older versions wrote it
        later = (("resize", None), ("crop", None), ("metric", None), ("better", None))
        for name, unused in (*later, ("entry", None), ("rename", ()), ("strict", True), ("batch_axis", None)):
            if plain[name] == unused:
                del plain[name]
        file = Path(self.model)
        if file.is_file():
            plain["model"] = f"sha256:{digest_of(file)}"
        return json.dumps(plain, sort_keys=True, default=str)
