"""Programs are loaded without torch's warning about the bytes of their file, and with all others."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from profilers.models.programs.loading import load_exported

torch = pytest.importorskip("torch")


def test_only_the_warning_about_bytes_that_are_not_writable_is_silenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(content: object) -> str:
        warnings.warn("The given buffer is not writable, and PyTorch does not support non-writable tensors.", stacklevel=1)
        warnings.warn("this version is old", stacklevel=1)
        return "program"

    monkeypatch.setattr(torch.export, "load", load)
    (tmp_path / "one.pt2").touch()
    with pytest.warns(UserWarning, match="is old") as seen:
        assert load_exported(tmp_path / "one.pt2") == "program"
    assert [str(one.message) for one in seen] == ["this version is old"]
