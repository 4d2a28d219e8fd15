"""The table of metrics is the only place that names one."""

import subprocess
import sys

import polars as pl

from ecosel.objectives import CANONICAL, METRICS
from ecosel.output.measures import measure

WITH_A_FIFTH = """
import pathlib, sys, types
import ecosel
source = pathlib.Path(ecosel.__path__[0], "objectives.py").read_text()
row = 'Metric(Objective("water_l", "min"), "water", "l", is_canonical=True, paper_unit=0.5, is_measured=True),'
first = 'Metric(ACCURACY, "accuracy"'
assert first in source
module = types.ModuleType("ecosel.objectives")
sys.modules["ecosel.objectives"] = module
exec(compile(source.replace(first, row + first), "objectives.py", "exec"), module.__dict__)

import polars as pl
from ecosel.output.measures import measures
from ecosel.selection import select
from evolver.search.run_state import MEASURED
selection = select(pl.DataFrame({"accuracy": [0.9, 0.8], "water_l": [2.0, 1.0]}), preset="paper")
print([o.column for o in selection.objectives], dict(selection.choices[0].scale), measures(selection)["water_l"].title, MEASURED[0])
"""


def test_a_fifth_canonical_metric_touches_one_table() -> None:
    ran = subprocess.run([sys.executable, "-c", WITH_A_FIFTH], capture_output=True, text=True, check=True)
    assert ran.stdout == "['water_l', 'accuracy'] {'accuracy': 1.0, 'water_l': 0.5} Water (l) water_l\n"


def test_file_sizes_are_written_in_the_usual_units_and_are_not_a_canonical_objective() -> None:
    size = METRICS["file_bytes"].objective
    assert size not in CANONICAL
    written = measure(size, pl.Series([11_173_962, 44_700_000]))
    assert (written.title, written.text(11_173_962)) == ("File size (MB)", "11.2\u00a0MB")
    assert measure(size, pl.Series([512])).text(512) == "512\u00a0B"
