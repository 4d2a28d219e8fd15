"""Every console block of a README prints what it says, and its library sessions run."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import ROOT

READMES = {
    name: (ROOT / name).read_text() for name in ("README.md", *(f"{p}/README.md" for p in ("ecosel", "profilers", "evolver")))
}
CONSOLE = [block for text in READMES.values() for block in re.findall(r"```console\n\$ ecosel (.*)\n((?:.*\n)*?)```", text)]
SESSIONS = {name: "".join(re.findall(r"```pycon\n((?:.*\n)*?)```", text)) for name, text in READMES.items()}


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("command", "printed"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_a_command_prints_what_the_readme_shows(command: str, printed: str, ecosel: Callable[..., Any]) -> None:
    outcome = ecosel(*shlex.split(command))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == printed


def test_the_readme_has_commands_to_check() -> None:
    assert len(CONSOLE) >= 3
    assert sum(text.count("```console") for text in READMES.values()) == len(CONSOLE)


@pytest.mark.parametrize("name", [name for name, session in SESSIONS.items() if session])
def test_a_library_session_gives_what_the_readme_shows(name: str) -> None:
    test = doctest.DocTestParser().get_doctest(SESSIONS[name], {}, name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_main_readme_has_a_library_session() -> None:
    assert SESSIONS["README.md"]


@pytest.mark.parametrize("module", ["ecosel.dominance", "ecosel.selection", "ecosel.report.view.letters"])
def test_examples_in_docstrings_hold(module: str) -> None:
    import importlib

    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0
