"""What fuzzing began with, and what it found, is read or refused; it breaks nothing. `make fuzz` looks for more."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import COMMANDS, TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(file for file in CORPUS.glob("*/*") if file.is_file())


@cache
def target_of(name: str) -> Target:
    return TARGETS[name][0]()


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_break_nothing(name: str) -> None:
    contents = seeds(name)
    assert contents
    for content in contents:
        target_of(name)(content)


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}-{file.name[:14]}")
def test_what_was_found_breaks_nothing_any_more(file: Path, tmp_path: Path) -> None:
    name = file.parent.name
    if name not in COMMANDS:
        target_of(name)(file.read_bytes())
        return
    called, arguments = COMMANDS[name]
    (tmp_path / called).write_bytes(file.read_bytes())
    words = [word.format(file=tmp_path / called) for word in arguments]
    run = subprocess.run([sys.executable, "-m", "ecosel", *words], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1), run.stderr
    assert run.stderr.startswith("ecosel: ")


def test_a_target_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    import ecosel.readers

    target = TARGETS["csv"][0]()
    monkeypatch.setattr(ecosel.readers, "open_archive", None)  # a fault that no reader may have
    with pytest.raises(TypeError):
        TARGETS["csv"][0]()(b"a,b\n1,2\n")
    target(b"a,b\n1,2\n")
