"""Run one part: python -m tests.benchmarks.faults PART [--times 20] [--step 1] [--only "profile|evolve"]"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.benchmarks.faults.clocks import clock
from tests.benchmarks.faults.crowds import archive, crowd, descriptors, slow
from tests.benchmarks.faults.folders import folders
from tests.benchmarks.faults.full import disk, temporary
from tests.benchmarks.faults.signalled import signals

Given = argparse.Namespace
PARTS: dict[str, Callable[[Given], None]] = {
    "signals": lambda given: signals(given.times, given.only),
    "disk": lambda given: disk(given.times, given.only, step=given.step, start=given.start),
    "temporary": lambda given: temporary(given.times, given.only, step=given.step, start=given.start),
    "folders": lambda given: folders(given.times, given.only),
    "descriptors": lambda given: descriptors(given.times, given.only),
    "archive": lambda given: archive(given.times),
    "crowd": lambda given: crowd(given.times),
    "slow": lambda given: slow(given.times),
    "clock": lambda given: clock(given.times, given.only),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--times", type=int, default=20, help="how often, for each command")
    parser.add_argument("--only", default="", help="commands, apart by | (default: all)")
    parser.add_argument("--step", type=int, default=1, help="pages by which a disk grows each time")
    parser.add_argument("--start", type=int, default=1, help="pages of the first disk")
    given = parser.parse_args()
    PARTS[given.part](given)
