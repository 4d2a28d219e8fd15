"""Which modules a command or a function loads: a person who only chooses or looks waits for no torch.

`lint-imports` (make check) holds the direction of imports as they are written; this holds what is loaded when they run.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from ecosel.samples import sample
from tests.conftest import ROOT, environment

YOUNG = str(sample("young2019.csv"))
TORCH = {"torch", "torchvision"}
HEAVY = TORCH | {"pynvml", "altair", "vl_convert", "numba", "pandas", "pyarrow"}
EVERYTHING = HEAVY | {"polars", "numpy", "rich"}
COMMAND = "from ecosel.cli import main; main({!r})".format

# what runs, what it must have loaded, what it must not have loaded
CASES = {
    "help": (COMMAND(["--help"]), "ecosel.cli", EVERYTHING | {"ecosel.cli.select", "ecosel.cli.why", "ecosel.cli.report", "ecosel.report"}),
    "version": (COMMAND(["--version"]), "ecosel.cli", EVERYTHING),
    "select": (COMMAND(["select", YOUNG]), "polars", HEAVY),
    "why": (COMMAND(["why", YOUNG, "A"]), "polars", HEAVY),
    "report": (COMMAND(["report", YOUNG, "-o", "-"]), "ecosel.report.page", TORCH | {"pynvml", "pandas", "numba"}),
    "profile --help": (COMMAND(["profile", "--help"]), "profilers.cli.profile", TORCH | {"polars", "altair"}),
    "evolve --help": (COMMAND(["evolve", "--help"]), "evolver.cli", TORCH | {"polars", "altair"}),
    "devices": ("import profilers.cli.devices as d; list(d.survey(None, None))", "profilers.cli.devices", TORCH | {"polars", "numpy", "altair"}),
    "a meter": (
        "from profilers.meters import find_meter; find_meter('constant:5', 'cpu')", "profilers.meters",
        TORCH | {"pynvml", "polars", "numpy"},
    ),
    "digits": ("from profilers.datasets import load_dataset; load_dataset('digits')", "numpy", TORCH | {"altair"}),
    "the format of a model": (
        f"import pathlib, profilers.models.formats as f\ntry: f.recognise(pathlib.Path({YOUNG!r}))\nexcept f.ModelError: pass",
        "profilers.models.formats", TORCH,
    ),
}  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after code that ends with exit status 0."""
    lines = "\n    ".join(code.split("\n"))
    program = f"import sys\ntry:\n    {lines}\nexcept SystemExit as end:\n    assert not end.code\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(PYTHONPATH=str(ROOT)), check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stderr.split())


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_loaded_that_is_not_needed(case: str) -> None:
    code, needed, unwanted = CASES[case]
    loaded = loaded_after(code)
    assert needed in loaded
    assert not loaded & unwanted


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert loaded_after(f"import altair; {COMMAND(['--version'])}") & EVERYTHING
