"""Progress where there is no terminal."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from profilers import progress
from profilers.measuring.settings import Progress


def test_a_notebook_without_widgets_prints_each_phase_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with progress.progress_bar() as show:
        for phase in ("warming up", "warming up", "measuring", "measuring", "looking closely"):
            show(Progress(phase, 0.5, 1.0))
    assert capsys.readouterr().out.splitlines() == ["warming up", "measuring", "looking closely"]
