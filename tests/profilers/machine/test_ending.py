"""A signal leaves no unfinished file."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, environment

# the signal comes after the trace was written beside its name, before it takes the name
WRITER = """
import os, signal
from pathlib import Path
from profilers.energy.sampling.trace import PowerTrace, write_trace
from profilers.machine.ending import clean_ends
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGTERM)
with clean_ends():
    write_trace(Path("run.parquet"), PowerTrace.empty(), {})
"""


def test_a_signal_while_a_trace_is_written_leaves_none_behind(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WRITER], cwd=tmp_path, capture_output=True, check=False, env=environment(PYTHONPATH=str(ROOT))
    )
    assert run.returncode == -signal.SIGTERM, run.stderr
    assert not list(tmp_path.iterdir())


# it comes while a variant is made, in the folder that is there until it is whole
MAKER = """
import os, signal, sys, tempfile, types
from profilers.cli.compress import compress
def make(settings, show):
    with tempfile.TemporaryDirectory(prefix=".net-fold.pt2.", dir="."):
        os.kill(os.getpid(), signal.SIGHUP)
sys.modules["profilers.variants.session"] = types.SimpleNamespace(compress=make)
compress(["net.pt", "--factory", "a:b", "--dataset", "digits", "--variants", "fold", "-o", "out"])
"""


def test_a_signal_while_a_variant_is_made_leaves_nothing_of_it_behind(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"weights")
    run = subprocess.run(
        [sys.executable, "-c", MAKER], cwd=tmp_path, capture_output=True, check=False, env=environment(PYTHONPATH=str(ROOT))
    )
    assert run.returncode == -signal.SIGHUP, run.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt"]
