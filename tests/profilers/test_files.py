"""Files beside a measurement: whole ones are read, devices and pipes without an end or a writer are not."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from profilers import files
from profilers.cli.several import read_manifest
from profilers.errors import MeterError, ProfilerError
from profilers.files import read_file
from profilers.logs.power_log import read_log
from profilers.logs.windows import read_spans
from profilers.meters.calibration import read_calibration
from profilers.meters.replay import ReplayMeter


def test_a_file_and_what_comes_through_a_pipe_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert read_file(tmp_path / "f", most=3) == b"abc"
    os.mkfifo(tmp_path / "p")
    writer = threading.Thread(target=(tmp_path / "p").write_bytes, args=(b"x" * 100_000,))
    writer.start()
    assert read_file(tmp_path / "p", most=100_000) == b"x" * 100_000
    writer.join()


@pytest.mark.parametrize("reader", [read_log, read_spans, read_calibration, read_manifest, ReplayMeter])
def test_devices_and_pipes_that_nobody_fills_are_refused(reader: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE_S", 0.05)
    assert callable(reader)
    os.mkfifo(tmp_path / "p")
    for path, says in ((Path("/dev/zero"), "it is a device, not a file"), (tmp_path / "p", "a pipe to which nothing writes")):
        with pytest.raises(ProfilerError, match=says):
            reader(path)


WINDOWS = {
    "a long cell": "start,end,label\n1,5," + "x" * 200_000,
    "an infinite count": "start,end,inferences\n1,5,1e400\n",
    "more than any list of windows": "start,end\n" + "\n" * 2_000_000,
}


@pytest.mark.parametrize("case", WINDOWS)
def test_windows_that_are_none_are_refused_in_a_line(case: str, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(WINDOWS[case])
    with pytest.raises(MeterError) as error:
        read_spans(tmp_path / "w.csv")
    assert "\n" not in str(error.value)


def test_a_manifest_of_more_models_than_anyone_measures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("file\n" + "m.pt\n" * 10_001)
    with pytest.raises(ProfilerError, match="names more than 10,000 models"):
        read_manifest(tmp_path / "m.csv")
