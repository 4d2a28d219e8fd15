"""Run a search on CIFAR-10 on one GPU in one command: lanes, evolution beside random search, winners, front, variants.

python -m tests.benchmarks.gpu.campaign CIFAR10 OUT [--seconds 570]     takes just under --seconds
python -m tests.benchmarks.gpu.campaign CIFAR10 OUT --quick             every step once, at most 190 s, on 2,500 images
python -m tests.benchmarks.gpu.campaign --show OUT                      the tables, without a GPU
python -m tests.benchmarks.gpu.campaign --example cifar10.parquet OUT   the evolution's candidates in a small file for `ecosel select`

CIFAR10 is a folder of Parquet files like ../shared/datasets/cifar10. Every step runs `ecosel evolve`, `profile` or `compress` as a
user would, and is ended at its time. After every step these files are written into OUT: campaign.json, gpu.parquet (the board every
100 ms), run.db and random.db, rest.tar (winners, variants, archives of the lanes) and log.txt. A lane is one worker of a search.
  one lane, lanes   the same search with 1 and with several workers, nothing measured
  campaign          evolution and random search at the same time on the same GPU, with the same number of lanes
  winners           the best three of the evolution and the best of random search: trained twice more (mean of three seeds), then
                    once more and tested
  front             time and energy of the networks on evolution's front, with nothing else on the GPU
  variants          two winners in fp32 and bf16 on the GPU, and their variants from `ecosel compress` on the processor
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks.gpu.campaign.running import Course, Watch
from tests.benchmarks.gpu.campaign.steps import Plan, facts, go


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=570.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="0", help="a GPU's number, or cpu")
    parser.add_argument("--lanes", type=int, default=6, help="workers in the step `lanes`")
    parser.add_argument("--each", type=int, default=5, help="workers of each search in the campaign")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--flops", type=float, default=3e8, help="largest number of FLOPs of an inference")
    parser.add_argument("--objectives", default="accuracy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--example", type=Path, metavar="FILE.parquet")
    given = parser.parse_args()
    if given.source is None and not given.show and given.example is None:
        parser.error("name the folder of CIFAR-10 and the folder to write to")
    return given


def main() -> None:
    given = _given()
    if given.show:
        from tests.benchmarks.gpu.campaign.tables import page

        print(page(given.out))
        return
    if given.example is not None:
        from tests.benchmarks.gpu.campaign.example import write_example

        print(f"{given.example}: {write_example(given.out / 'run.db', given.example)} bytes")
        return
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    watch = Watch(given.device)
    watch.start()
    plan = Plan.of(given)
    record = {"command": sys.argv, "plan": vars(given), "steps": {}, "no_samples": watch.reason}
    course = Course(given.out.absolute(), Path(mkdtemp(prefix="campaign-")), began, watch, record)
    try:
        record["facts"] = facts(given.device)
        go(course, plan)
    finally:
        watch.stop()
        course.save()
        course.say("done")


if __name__ == "__main__":
    main()
