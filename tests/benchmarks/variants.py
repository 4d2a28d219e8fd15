"""Print what variants take of their parent's time: python -m tests.benchmarks.variants [--seconds S].

A small network on the digits at batch 1 and 100, and, where torchvision is there, resnet18 at 224 x 224, batch 1 and 32, on
digits enlarged 28 times. The weights of resnet18 are random: its time is real, its accuracy means nothing. Parent and
variants are measured in turn, so the ratios hold on a machine that others use; their 95 % intervals say how well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from profilers.datasets import load_dataset
from profilers.measuring.settings import Plan, ProfileSettings
from profilers.results.units import si
from profilers.variants.names import parse_variants
from profilers.variants.rewriting.onnx_files import has_vnni
from profilers.variants.rows import compression_text, named_rows
from profilers.variants.session import Model, compress
from profilers.variants.settings import CompressSettings

_ROOT = Path(__file__).parents[2]
_CNN = _ROOT / "data" / "digits_cnn.py"
# of the parent's time, on a processor with VNNI
_EXPECTED = {"onnx": 0.7, "int8": 0.5}
_IMAGES = {"train": 8, "test": 4}  # of each class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each model, a third of it without a meter")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads (OMP_NUM_THREADS); 8-bit dot products (VNNI): {'yes' if has_vnni() else 'no'}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = Plan(ci=0.02, min_s=min(3.0, options.seconds), max_s=options.seconds, warm_up_s=5.0, flat_s=2.0, group_s=0.5)
        for batch in (1, 100):
            _show(_small(folder, batch, plan))
        if find_spec("torchvision") is not None:
            for batch in (1, 32):
                _show(_resnet18(folder, batch, plan))


def _small(folder: Path, batch: int, plan: Plan) -> CompressSettings:
    weights = folder / "digits_cnn.pt"
    factory = f"{_CNN}:network"
    if not weights.exists():
        subprocess.run([sys.executable, _CNN, weights], check=True, cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)})
    parent = ProfileSettings(str(weights), factory=factory, dataset="digits", batch_size=batch, device="cpu", plan=plan)
    variants = parse_variants("fold,bf16,prune-25,prune-50,onnx,int8")
    return CompressSettings(parent, variants, folder / f"small-{batch}", finetune=2)


def _resnet18(folder: Path, batch: int, plan: Plan) -> CompressSettings:
    from torchvision.models import resnet18

    weights, images = folder / "resnet18.pt", folder / "images"
    if not weights.exists():
        torch.manual_seed(0)
        torch.save(resnet18(num_classes=10).state_dict(), weights)
        _enlarge(images)
    parent = ProfileSettings(
        str(weights), factory="torchvision:resnet18", factory_args={"num_classes": 10}, dataset=str(images), batch_size=batch,
        device="cpu", plan=plan,
    )  # fmt: skip
    return CompressSettings(parent, parse_variants("fold,bf16,onnx,int8"), folder / f"resnet18-{batch}")


def _enlarge(folder: Path) -> None:
    """Write digits of 224 x 224 as PNG files, a folder a class."""
    from torchvision.io import write_png

    for split, count in _IMAGES.items():
        data = load_dataset("digits", split=split)
        for label in range(10):
            place = folder / split / str(label)
            place.mkdir(parents=True)
            for number, row in enumerate(np.flatnonzero(data.labels == label)[:count]):
                large = data.images[row].repeat(28, axis=1).repeat(28, axis=2).repeat(3, axis=0)
                write_png(torch.from_numpy(large), str(place / f"{number}.png"))


def _show(settings: CompressSettings) -> None:
    found = compress(settings)
    print(f"\n{compression_text(found, named_rows(found))}")
    for model in found.variants:
        name = model.made.variant.name if model.made else ""
        bound, ratio = _EXPECTED.get(name), model.time_ratio
        if bound is None or ratio is None:
            continue
        sizes = ", ".join(f"{si(one.profile.throughput.value, '/s')}" for one in (found.parent, model))
        reached = "reached" if ratio.value <= bound else f"not reached, {_why(found.parent, model, bound)}"
        print(f"{name}: {ratio.value:.2f} of the parent's time, expected at most {bound}: {reached} ({sizes} images)")


def _why(parent: Model, model: Model, bound: float) -> str:
    ratio = model.time_ratio
    if ratio is not None and ratio.low is not None and ratio.low <= bound:
        return "though the interval holds that: give it more --seconds, or a quiet machine"
    rates = [(one.profile.facts.flops or 0) * one.profile.throughput.value / 1e9 for one in (parent, model)]
    return f"as the parent computes {rates[0]:.3g} GFLOP/s already, and the variant {rates[1]:.3g}"


if __name__ == "__main__":
    main()
