"""A signal that would end the process without a word ends it in one line."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from ecosel.cli import _words
from tests.conftest import ROOT, environment

CODE = """
import signal, sys
from ecosel.cli.aborts import one_line_aborts
with one_line_aborts(silent=False):
    signal.raise_signal(int(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (signal.SIGABRT, "the file is damaged, or too large for the memory of this machine"),
        (signal.SIGBUS, "a file in use was cut short, or its disk failed or became read-only"),
    ],
)
def test_an_abort_is_one_line_that_says_why(number: signal.Signals, why: str) -> None:
    command = [sys.executable, "-c", CODE, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment())
    assert (ended.returncode, ended.stderr) == (1, f"ecosel: a library aborted ({number.name}): {why}\n")


def test_an_error_of_the_system_is_named_with_its_file_and_without_its_number() -> None:
    assert _words(PermissionError(1, "Operation not permitted", "out")) == "out: Operation not permitted"
    assert _words(OSError(28, "No space left on device")) == "No space left on device"
    assert _words(OSError("cannot write out: it is a folder")) == "cannot write out: it is a folder"
