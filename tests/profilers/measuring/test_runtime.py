"""Which runtime runs a saved model, those of other packages too."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from profilers.errors import ModelError, ProfilerError
from profilers.measuring.runtime import GROUP, OURS, check, runtime_of
from profilers.measuring.settings import ProfileSettings
from tests.conftest import ROOT

OTHER = """
class Other:
    name = "other"
    def opens(self, path):
        return path.read_bytes().startswith(b"OTHER")
class Rotten:
    def __init__(self):
        import no_such_module
"""


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a runtime of its own, and return the file of its entry points."""
    (tmp_path / "otherruntime.py").write_text(OTHER)
    installed = tmp_path / "otherruntime-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: otherruntime\nVersion: 1\n")
    points = installed / "entry_points.txt"
    points.write_text("[ecosel.runtimes]\nother = otherruntime:Other\ntorch = otherruntime:Rotten\n")
    monkeypatch.syspath_prepend(tmp_path)
    return points


def test_the_runtimes_here_are_entry_points_as_those_of_other_packages_are() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["ecosel.runtimes"]
    assert declared == OURS
    pytest.importorskip("onnxruntime")
    for name, value in OURS.items():
        assert EntryPoint(name, value, GROUP).load()().name == name


def test_a_format_that_nothing_here_opens_goes_to_the_runtime_that_says_it_is_its_own(
    other_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.other").write_bytes(b"OTHER format")
    assert runtime_of(ProfileSettings(str(tmp_path / "model.other"))).name == "other"
    (tmp_path / "model.none").write_bytes(b"NO format")
    with pytest.raises(ModelError, match="is not a saved PyTorch model"):
        check(ProfileSettings(str(tmp_path / "model.none")))


def test_another_package_does_not_take_the_formats_of_a_runtime_here(other_package: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    assert check(ProfileSettings(str(tmp_path / "weights.pt"), factory="torch.nn:Identity")).value == OURS["torch"]


def test_a_runtime_that_cannot_be_loaded_gives_one_line(other_package: Path, tmp_path: Path) -> None:
    other_package.write_text("[ecosel.runtimes]\nrotten = otherruntime:Rotten\n")
    (tmp_path / "model.other").write_bytes(b"OTHER format")
    with pytest.raises(ProfilerError, match=r"the runtime rotten \(otherruntime:Rotten\) cannot be loaded: No module named"):
        check(ProfileSettings(str(tmp_path / "model.other")))
