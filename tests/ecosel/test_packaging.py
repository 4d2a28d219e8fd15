"""A wheel, an sdist and an editable install all find the data, from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment

CODE = """import ecosel.samples as s, profilers.datasets as d; print(s.__file__); print(s.sample('young2019.csv').read_text()[:5])
print(d.__file__); print(len(d.load_dataset('digits').labels))"""


def run(*arguments: str | Path, folder: Path, **extra: str) -> str:
    outcome = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env=environment(**extra), check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def built(kind: str, out: Path) -> Path:
    """Build a distribution with the back end alone, so that nothing is fetched."""
    code = f"import hatchling.build as b; print(b.build_{kind}({str(out)!r}))"
    return out / run("-c", code, folder=ROOT).split()[-1]


def installed(distribution: Path, folder: Path) -> Path:
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--target")
    run("-m", "pip", "install", *options, folder, distribution, folder=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def of_wheel(wheel: Path) -> Path:
    return installed(wheel, wheel.parent / "site")


@pytest.fixture
def of_sdist(tmp_path: Path) -> Path:
    return installed(built("sdist", tmp_path), tmp_path / "site")


@pytest.fixture
def of_editable(tmp_path: Path) -> Path:
    # what a .pth file does for an interpreter: the folder it names is on the path
    site = installed(built("editable", tmp_path), tmp_path / "site")
    (pth,) = site.glob("*.pth")
    return Path(pth.read_text().splitlines()[0])


@pytest.mark.parametrize("install", ["of_wheel", "of_sdist", "of_editable"])
def test_the_data_is_found(install: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    site: Path = request.getfixturevalue(install)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where, head, where_datasets, images = run("-c", CODE, folder=elsewhere, PYTHONPATH=str(site)).split()
    assert Path(where).is_relative_to(site)
    assert Path(where_datasets).is_relative_to(site)
    assert (head, images) == ("model", "540")


def test_the_wheel_is_typed_and_holds_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"{package}/py.typed" for package in ("ecosel", "evolver", "profilers")} <= set(names)
    parts = [part for kind in ("js", "css", "html", "json") for part in (ROOT / "ecosel").rglob(f"*.{kind}")]
    assert len(parts) >= 5
    assert {str(part.relative_to(ROOT)) for part in parts} <= set(names)
    assert not any(name.startswith("tests/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


# what Python runs at its start: torch is as if it were not installed
WITHOUT_TORCH = """import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""


def test_the_wheel_chooses_and_shows_without_torch(of_wheel: Path, tmp_path: Path) -> None:
    first, elsewhere = tmp_path / "first", tmp_path / "elsewhere"
    first.mkdir()
    elsewhere.mkdir()
    (first / "sitecustomize.py").write_text(WITHOUT_TORCH)
    path = os.pathsep.join((str(first), str(of_wheel)))
    code = "import ecosel.samples as s; print(s.sample('young2019.csv'))"
    young = run("-c", code, folder=elsewhere, PYTHONPATH=path).strip()
    assert Path(young).is_relative_to(of_wheel)
    for arguments, shown in (
        (("select", young), "best trade-off"), (("why", young, "A"), "A (row 0)"), (("report", young, "-o", "-"), "<html"),
    ):  # fmt: skip
        assert shown in run("-m", "ecosel", *arguments, folder=elsewhere, PYTHONPATH=path)
    refused = subprocess.run(
        [sys.executable, "-m", "ecosel", "profile", "model.pt", "--dataset", "digits", "--archive", "runs.db"],
        cwd=elsewhere, capture_output=True, text=True, env=environment(PYTHONPATH=path), check=False,
    )  # fmt: skip
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert list(elsewhere.iterdir()) == []
