"""Share of a core that an open window of `profilers.window` takes, over the stand-in for NVML.

python -m tests.benchmarks.window_cost [SECONDS]

The processor time of a process that sleeps inside a window, less that of one that sleeps without; needs a C compiler.
A driver may take longer to answer than the stand-in, mostly waiting.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT, environment

_CODE = """
import json, sys, time
import profilers

seconds, within = float(sys.argv[1]), sys.argv[2] == "window"
measured = profilers.window("cpu", meter="nvml:0") if within else None
before = time.process_time()
time.sleep(seconds)
spent = time.process_time() - before
found = measured.end().joules if measured else 0.0
print(json.dumps([spent / seconds, found]))
"""


def cost(seconds: float, folder: Path) -> tuple[float, float]:
    """Return the share of a core that a window takes, and that of the process without one."""
    library, boards = folder / "libnvidia-ml.so.1", folder / "boards.txt"
    source = ROOT / "tests" / "profilers" / "nvml_standin" / "standin.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-lm", "-lpthread"], check=True)
    boards.write_text("board GPU-1\nname NVIDIA A100\ncc 8 0\npower 120\nperiod 0.1012\nwindow 0.025\ntick 0.02\n")
    env = environment(LD_LIBRARY_PATH=str(folder), NVML_STANDIN=str(boards), PYTHONPATH=str(ROOT))
    shares = []
    for kind in ("none", "window"):
        done = subprocess.run(
            [sys.executable, "-c", _CODE, str(seconds), kind], env=env, capture_output=True, text=True, check=True
        )
        shares.append(float(json.loads(done.stdout)[0]))
    return shares[1] - shares[0], shares[0]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as folder:
        window, idle = cost(seconds, Path(folder))
    print(f"a window of {seconds:g} s takes {window:.3%} of a core (the process without one: {idle:.3%})")


if __name__ == "__main__":
    main()
