"""A file that is written is there whole or not at all, also where a signal ends the process meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment

# the signal comes after the first of two files was written beside its name, before it takes the name
WRITER = """
import os, signal, sys
from pathlib import Path
from ecosel.cli.writing import write
signal.signal(int(sys.argv[1]), signal.SIG_DFL)  # nohup, for one, starts the tests with SIGHUP ignored
Path.replace = lambda self, target: os.kill(os.getpid(), int(sys.argv[1]))
write(("new", "a.csv"), ("new", "b.csv"))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_files_are_written_leaves_none_behind(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    command = [sys.executable, "-c", WRITER, str(int(number))]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env=environment(PYTHONPATH=str(ROOT)))
    assert run.returncode == -number, run.stderr
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.csv": "old"}
