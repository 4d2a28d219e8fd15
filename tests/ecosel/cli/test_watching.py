"""`ecosel report --watch`: the page follows its archive, is whole at any time, and stops renewing itself at the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecosel.cli.watching import page_beside, watch
from tests.conftest import environment
from tests.ecosel.report.archives import archive


def test_a_page_is_written_on_each_change_and_once_more_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    written: list[float | None] = []
    steps = iter(["same", "change", "same", "log", "end"])

    def wait(seconds: float) -> None:
        step = next(steps)
        if step == "change":
            archive(4).write_csv(file)
        elif step == "log":  # a database in use writes its log beside it
            (tmp_path / "a.csv-wal").write_text("x")
        elif step == "end":
            raise KeyboardInterrupt

    archive(3).write_csv(file)
    watch([str(file)], written.append, wait=wait)
    assert [now is None for now in written] == [False, False, False, True]


def test_an_archive_that_cannot_be_read_yet_is_reported_once_and_awaited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = 0
    steps = iter("abc")

    def write_page(now: float | None) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ValueError("no row is left to choose from")

    def wait(seconds: float) -> None:
        step = next(steps)
        if step == "c":
            raise KeyboardInterrupt
        (tmp_path / "a.csv").write_text(step * attempts)

    (tmp_path / "a.csv").write_text("")
    watch([str(tmp_path / "a.csv")], write_page, wait=wait)
    assert attempts == 4
    assert capsys.readouterr().err == "ecosel: no page yet: no row is left to choose from\n"


def test_the_command_watches_until_it_is_ended(tmp_path: Path) -> None:
    archive(5).write_csv(tmp_path / "a.csv")
    command = [sys.executable, "-m", "ecosel", "report", "a.csv", "--watch"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    assert process.stdout.readline() == "report.html\n"  # printed once the page is there
    live = (tmp_path / "report.html").read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert re.search(r"<body data-written=\"\d+\.\d+\" ", live)
    assert "<body>" in (tmp_path / "report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "report.html"]  # no half of a page


def test_a_page_beside_a_search_is_there_at_its_end(tmp_path: Path) -> None:
    archive(5).write_csv(tmp_path / "a.csv")
    page = tmp_path / "p.html"
    with page_beside(tmp_path / "a.csv", None):
        assert not page.exists()
    with page_beside(tmp_path / "a.csv", page):
        pass
    assert "<body>" in page.read_text()


@pytest.mark.parametrize("options", [("-o", "-"), ("--static", "a.svg")])
def test_only_a_file_can_be_watched(options: tuple[str, ...], tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    archive(5).write_csv(tmp_path / "a.csv")
    outcome = ecosel("report", tmp_path / "a.csv", "--watch", *options)
    assert outcome.status == 2
    assert "name its file with -o" in outcome.err
