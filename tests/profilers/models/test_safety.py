"""No saved model of a stranger runs code without trust; and each of these does run code with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from profilers.errors import ModelError
from profilers.models.opening import open_model
from profilers.models.weights import reading
from tests.conftest import ROOT, environment

torch = pytest.importorskip("torch")

from tests.profilers import hostile  # noqa: E402  needs torch

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of what the fixtures are
NAMES = list(hostile.FIXTURES)


def mark_of(model: Path) -> Path:
    return model.with_name(model.name + ".ran")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, make in hostile.FIXTURES.items():
        make(folder / name, mark_of(folder / name))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_model_is_refused_and_runs_nothing(name: str, models: Path) -> None:
    with pytest.raises(ModelError, match=r"--trust opens it") as refused:
        open_model(str(models / name), factory=None)
    assert "\n" not in str(refused.value)
    assert "weights_only" not in str(refused.value)
    assert not mark_of(models / name).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_factory_is_not_trust(name: str, models: Path) -> None:
    with pytest.raises(ModelError, match=r"--trust opens it"):
        open_model(str(models / name), factory="tests.profilers.networks:Small")
    assert not mark_of(models / name).exists()


@pytest.mark.parametrize(
    "name", ["torch_save.pt", "legacy.pth", "protocol_4.pt", "pickle.safetensors", "two_members.pt", "script.pt"]
)
@pytest.mark.parametrize("forced", [False, True])
def test_weights_are_never_unpickled_in_full_even_if_the_format_were_mistaken(
    name: str, forced: bool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if forced:  # torch's switch for those who insist does not reach us
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises((ModelError, RuntimeError)):
        reading.read(models / name, "state_dict", device="cpu", trust=False)
    assert not mark_of(models / name).exists()


def test_every_fixture_does_run_code_when_trusted(models: Path, tmp_path: Path) -> None:
    """The twin of the tests above: were a check to go, they would fail."""
    files = [str(models / name) for name in NAMES]
    child = subprocess.run(
        [sys.executable, "-m", "tests.profilers.hostile", *files],
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    ran = {name for name in NAMES if mark_of(models / name).exists()}
    for name in ran:
        mark_of(models / name).unlink()
    assert ran == set(NAMES), child.stdout + child.stderr
    assert "Traceback" not in child.stdout + child.stderr


def test_a_plain_pickle_is_not_opened_even_with_trust(tmp_path: Path) -> None:
    model = tmp_path / "model.pkl"
    hostile.plain_pickle(model, mark_of(model))
    with pytest.raises(ModelError, match=r"written by Python's pickle, not by torch\.save"):
        open_model(str(model), trust=True)
    assert not mark_of(model).exists()


def test_text_in_a_safetensors_header_stays_text(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model, ran = tmp_path / "model.bin", tmp_path / "ran"
    save_file({f"__import__('os').mkdir({str(ran)!r})": torch.zeros(2)}, model, metadata={"format": f"open({str(ran)!r}, 'w')"})
    with pytest.raises(ModelError, match="it also has __import__"):
        open_model(str(model), factory="torch.nn:Identity")
    assert not ran.exists()


@pytest.mark.parametrize("version", ["2.9.1", "2.6.0+cu124"])
def test_files_of_torch_save_are_refused_where_torch_has_cve_2026_24747(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "model.pt")
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(ModelError, match="CVE-2026-24747"):
        open_model(str(tmp_path / "model.pt"), factory="torch.nn:Identity")
