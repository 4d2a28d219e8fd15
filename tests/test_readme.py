"""Every console block of the README prints what it says, and its library session runs."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n\$ ecosel (.*)\n((?:.*\n)*?)```", README)


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
    assert README.count("```console") == len(CONSOLE)


def test_the_library_session_gives_what_the_readme_shows() -> None:
    session = "".join(re.findall(r"```pycon\n((?:.*\n)*?)```", README))
    test = doctest.DocTestParser().get_doctest(session, {}, "README.md", None, 0)
    assert test.examples
    results = doctest.DocTestRunner().run(test)
    assert results.failed == 0


@pytest.mark.parametrize("module", ["ecosel.dominance", "ecosel.selection", "ecosel.report.view.letters"])
def test_examples_in_docstrings_hold(module: str) -> None:
    import importlib

    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0
