"""A signal that would end the process without a word ends it in one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest

from ecosel.cli import _words, group, main
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


def test_a_panic_of_polars_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def panics(*_: object, **__: object) -> list[object]:
        return pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date).to_list()

    monkeypatch.setattr(group, "main", panics)
    with pytest.raises(SystemExit) as ended:
        main(["select", "m.csv"])
    says = "ecosel: a library panicked (out-of-range date): the file is damaged, or holds what the library cannot read\n"
    assert (ended.value.code, capsys.readouterr().err) == (1, says)


def test_an_error_of_the_system_is_named_with_its_file_and_without_its_number() -> None:
    assert _words(PermissionError(1, "Operation not permitted", "out")) == "out: Operation not permitted"
    assert _words(OSError(28, "No space left on device")) == "No space left on device"
    assert _words(OSError("cannot write out: it is a folder")) == "cannot write out: it is a folder"


# The limit on processes does not bind root; a user without a name may still read this checkout.
MAY_READ = "+dac_override,+dac_read_search"
AS_USER = ("setpriv", "--reuid=23456", "--clear-groups", f"--inh-caps={MAY_READ}", f"--ambient-caps={MAY_READ}")


@pytest.mark.skipif(not shutil.which("prlimit") or not shutil.which("setpriv"), reason="needs prlimit and setpriv (util-linux)")
def test_a_command_that_may_start_no_threads_says_so_in_one_line() -> None:
    as_user = AS_USER if os.getuid() == 0 else ()
    command = [*as_user, "prlimit", "--nproc=3:3", sys.executable, "-m", "ecosel", "select", "data/digits_mlp.csv"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment())
    says = "ecosel: no more threads can be started: end other processes, or raise their limit (ulimit -u)\n"
    assert (ended.returncode, ended.stderr) == (1, says)
