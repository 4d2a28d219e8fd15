"""Parquet and Arrow files whose parser would be busy for hours are refused in time."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.patience import Patience
from tests.endless import keep_busy

# in a process of its own, which the parser ends with
READ = """
import sys
from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
try:
    open_archive([sys.argv[1]], bounds=Bounds(seconds=0.3))
except ArchiveError as error:
    sys.exit(str(error))
"""


def test_metadata_that_take_minutes_to_parse_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.parquet"
    pl.DataFrame({"acc": [0.9], "ms": [1]}).write_parquet(file)
    keep_busy(file)
    run = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == f"{file}: reading it takes more than 0.3 s; if this is intended, raise --max-size (now 1 GB)\n"


def test_all_calls_share_the_time_and_pass_on_what_they_raise() -> None:
    patience = Patience("a", 0, Bounds(seconds=1000))
    assert patience.call(lambda: 5) == 5
    assert 999 < patience.left < 1000
    with pytest.raises(KeyError, match="7"):
        patience.call(lambda: {}[7])
    patience.left = 0.0
    with pytest.raises(ArchiveError, match="a: reading it takes more than 1000 s"):
        patience.call(threading.Event().wait)
