"""Build the networks to be measured, save their weights, and open each as `ecosel profile` does."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from profilers.inference.protocol import Inference
from profilers.measuring.settings import Plan, ProfileSettings
from tests.benchmarks.gpu.beside.tools import Place

BATCH = 32
TORCHVISION = ("resnet18", "resnet50", "mobilenet_v3_large", "vit_b_16")
EVOLVED = tuple(sorted(Path(__file__).parent.glob("evolved_*.json")))
_WARM_S = 0.4


@dataclass(frozen=True)
class Network:
    """A network on the device, and the settings with which `ecosel profile` measures it."""

    name: str
    settings: ProfileSettings
    load: Inference
    batch_s: float  # seconds per batch

    def batches(self, seconds: float, /) -> int:
        return max(1, math.ceil(seconds / self.batch_s))

    def run(self, batches: int, /) -> int:
        return self.load.run(self.load.ready(batches))


def settings_of(name: str, folder: Path, place: Place, plan: Plan, *, evolved: tuple[Path, ...] = EVOLVED) -> ProfileSettings:
    manifests = {path.stem: path for path in evolved}
    manifest = manifests.get(name)
    return ProfileSettings(
        str(folder / f"{name}.pt"),
        factory="evolver:candidate" if manifest else f"torchvision:{name}",
        factory_args={"manifest": str(manifest)} if manifest else None,
        inputs=("3x32x32" if manifest else "3x224x224",),
        device=place.device,
        meter=place.meter,
        mode="device",
        batch_size=BATCH,
        plan=plan,
    )


def network(settings: ProfileSettings, name: str, /) -> Network:
    """Save random weights once, open them as `ecosel profile` does, and time a batch."""
    import torch

    from profilers.measuring.runtime import runtime_of
    from profilers.models.factories import build

    torch.manual_seed(0)
    torch.save(build(str(settings.factory), settings.factory_args).state_dict(), settings.model)
    runtime = runtime_of(settings)
    load = runtime.prepare(settings, runtime.find_device(settings.device)).inference
    load.try_out()
    return Network(name, settings, load, _batch_s(load))


def _batch_s(load: Inference) -> float:
    """Run until the device is warm; return the seconds per batch of the last and longest run."""
    count, begin_s = 1, time.perf_counter()
    while True:
        start_s = time.perf_counter()
        load.run(load.ready(count))
        end_s = time.perf_counter()
        if end_s - begin_s > _WARM_S and (count >= 4 or end_s - start_s > _WARM_S):
            return (end_s - start_s) / count
        count *= 2
