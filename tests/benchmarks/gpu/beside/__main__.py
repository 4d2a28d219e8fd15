"""Measure energy per inference by `ecosel profile`, `profilers.window`, Zeus and CodeCarbon, side by side on one NVIDIA board.

python -m tests.benchmarks.gpu.beside OUT [--quick] [--seconds 270]      (about 50 s with --quick, three networks)
python -m tests.benchmarks.gpu.beside --table OUT/beside.json            (no GPU: the tables in Markdown)

The networks have random weights and run in fp32 with batches of 32 that are on the GPU: resnet18, resnet50, mobilenet_v3_large,
vit_b_16 (3x224x224) and two evolved networks (3x32x32; evolved_*.json, from `ecosel evolve` on 5,000 images of CIFAR-10, or
--evolved MANIFEST.json). All tools measure the same loop of the same batches, except `ecosel profile`, which opens the same weights
and runs its own loops. Zeus 0.16 is measured by a window of ZeusMonitor, CodeCarbon 3.3 by the gpu_energy of an
OfflineEmissionsTracker with measure_power_secs=1. The reference is NVML's counter between two ticks around a loop without any tool.
Each loop begins after a random pause of 0.05 to 0.25 s.

Time in seconds: 8 to start each tool in fresh processes (twice); 12 to build the networks; 125 for the first visits to all
networks, of which each takes 11 for the loops (bare, tools, tools in reverse, bare; 1 s each) and 10 for `ecosel profile`; 65 for
short loops of 0.3 and 1 s, 8 by each tool; 15 for each later visit to a network, as many as there is time for. In 310 s, Zeus,
CodeCarbon and window reach n = 3 and `ecosel profile` n = 2; in 270 s one less for the last two networks; in 400 s one more for
all. Whatever there is no time for is skipped and listed.
Files: beside.json and beside-traces.tar (the traces of `ecosel profile`), both written after every step.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks.gpu.beside.models import EVOLVED
from tests.benchmarks.gpu.beside.session import Session, Sizes
from tests.benchmarks.gpu.beside.table import tables
from tests.benchmarks.gpu.beside.tools import Place


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu.beside")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--networks", help="only these, separated by commas")
    parser.add_argument("--evolved", type=Path, nargs="*", default=list(EVOLVED), help="manifests of `ecosel evolve --final`")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--meter", help="to try this out without a GPU: nvml:0 over a stand-in for the driver's library")
    asked = parser.parse_args()
    if asked.table:
        print(tables(asked.table))
        return
    if asked.out is None:
        parser.error("name a folder for the results, or --table FILE")
    sizes = Sizes.quick() if asked.quick else Sizes()
    session = Session(
        asked.out, Place(asked.device, asked.meter), sizes, seconds=asked.seconds or (90.0 if asked.quick else 270.0)
    )
    evolved = tuple(path.resolve() for path in asked.evolved)
    some = ["resnet18", "vit_b_16", *(path.stem for path in evolved[:1])]
    names = asked.networks.split(",") if asked.networks else some if asked.quick else None
    session.run(names, evolved=evolved)
    print(tables(asked.out / "beside.json"), flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
