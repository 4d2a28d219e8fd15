"""Whole modules that were pickled by the script that defines their class."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from profilers.errors import ModelError
from profilers.models.factories import module_of_file
from profilers.models.weights.reading import read

SCRIPT = """
import torch
class Block(torch.nn.Linear):
    pass
class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block(4, 2)
    def forward(self, x):
        return self.block(x)
if __name__ == "__main__":
    raise SystemExit("the training would begin here")
"""


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a module as its script saves it, when that is run."""
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text("class Network(")
    monkeypatch.chdir(tmp_path)
    script: Any = module_of_file(tmp_path / "train.py")
    main = sys.modules["__main__"]
    with monkeypatch.context() as running:
        for kind in (script.Block, script.Network):
            kind.__module__ = "__main__"
            running.setattr(main, kind.__name__, kind, raising=False)
        torch.save(script.Network(), tmp_path / "network.pt")
    monkeypatch.delitem(sys.modules, "train")
    before = set(vars(main))
    yield tmp_path / "network.pt"
    for name in set(vars(main)) - before:
        delattr(main, name)


def test_the_classes_are_found_in_the_script_with_trust(saved: Path) -> None:
    module = read(saved, "pickle", device="cpu", trust=True)
    assert isinstance(module, torch.nn.Module)
    assert module(torch.zeros(3, 4)).shape == (3, 2)


def test_nothing_of_the_script_runs_without_trust(saved: Path) -> None:
    with pytest.raises(ModelError, match="more than plain weights"):
        read(saved, "pickle", device="cpu", trust=False)
    assert "train" not in sys.modules


def test_two_scripts_or_none_are_asked_about(saved: Path) -> None:
    (saved.parent / "older.py").write_text(SCRIPT)
    with pytest.raises(ModelError, match=r"class Network of the script that saved it, and older.py, train.py define it"):
        read(saved, "pickle", device="cpu", trust=True)
    for name in ("older.py", "train.py"):
        (saved.parent / name).unlink()
    with pytest.raises(ModelError, match="no script here defines it"):
        read(saved, "pickle", device="cpu", trust=True)
