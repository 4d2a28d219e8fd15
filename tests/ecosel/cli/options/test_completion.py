"""What a shell offers after an archive: its columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from ecosel.cli import group
from ecosel.samples import sample


def offered(*words: str, incomplete: str = "") -> list[str]:
    return [
        item.value for item in ShellComplete(group, {}, "ecosel", "_ECOSEL_COMPLETE").get_completions(list(words), incomplete)
    ]


@pytest.mark.parametrize("option", ["--maximize", "--minimize", "--label", "--by"])
def test_columns_are_completed_from_the_archive(option: str) -> None:
    assert "accuracy" in offered("select", str(sample("young2019.csv")), option)
    assert offered("report", str(sample("young2019.csv")), option, incomplete="acc") == ["accuracy"]


def test_an_archive_that_cannot_be_read_completes_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\0" + bytes(40))
    assert offered("select", str(broken), "--maximize") == []
    assert offered("select", "--maximize") == []


def test_commands_and_options_are_completed() -> None:
    assert "select" in offered(incomplete="sel")
    assert "--maximize" in offered("select", incomplete="--max")
