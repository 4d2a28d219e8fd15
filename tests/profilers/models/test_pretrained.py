"""Folders of `save_pretrained` are opened by the class's own `from_pretrained`, from local files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from profilers.errors import ModelError  # noqa: E402
from profilers.models.opening import open_model  # noqa: E402
from profilers.models.weights.filling import Fitting  # noqa: E402


class Mapped(torch.nn.Module):  # type: ignore[misc,name-defined]
    """A class that renames keys as it loads, as transformers' do, and remembers how it was asked."""

    asked: tuple[Any, ...] = ()

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, classes)

    @classmethod
    def from_pretrained(cls, folder: str, *, local_files_only: bool = False, **more: Any) -> Any:
        from safetensors.torch import load_file

        cls.asked = (local_files_only, os.environ.get("HF_HUB_OFFLINE"), more)
        network = cls()
        state = load_file(f"{folder}/model.safetensors")
        missing = [] if "head.beta" in state else ["head.bias"]
        network.load_state_dict({name.replace("beta", "bias"): tensor for name, tensor in state.items()}, strict=False)
        return (network, {"missing_keys": missing}) if missing else network


FACTORY = f"{__name__}:Mapped"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["NoClassOfTransformers"]}))
    save_file({"head.weight": torch.ones(2, 3), "head.beta": torch.ones(2)}, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("part", ["", "model.safetensors"])
def test_a_folder_or_a_file_in_it_is_opened_by_the_class(part: str, folder: Path) -> None:
    model = open_model(str(folder / part), factory=FACTORY)
    assert model.format == "pretrained"
    assert bool((model.module.head.bias == 1).all())  # type: ignore[attr-defined]
    assert Mapped.asked == (True, "1", {})
    assert os.environ.get("HF_HUB_OFFLINE") is None
    assert model.sha256 is not None


def test_weights_that_the_folder_lacks_are_not_made_up_in_silence(folder: Path) -> None:
    save_file({"head.weight": torch.ones(2, 3)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks head\.bias of Mapped; --no-strict"):
        open_model(str(folder), factory=FACTORY)
    notes = open_model(str(folder), factory=FACTORY, fitting=Fitting(strict=False)).notes
    assert "1 weights are not in the folder, left at fresh values: head.bias" in notes


def test_a_pickle_in_a_folder_needs_trust(folder: Path) -> None:
    torch.save({"head": Mapped()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle that names"):
        open_model(str(folder), factory=FACTORY)
    assert open_model(str(folder), factory=FACTORY, trust=True).format == "pretrained"


def test_a_factory_without_that_method_is_told_to_name_a_file(folder: Path) -> None:
    with pytest.raises(ModelError, match="has no from_pretrained; name the file of weights"):
        open_model(str(folder), factory="tests.profilers.networks:Small")


def test_a_folder_of_a_class_that_is_not_known_asks_for_a_factory(folder: Path) -> None:
    with pytest.raises(ModelError, match="transformers"):
        open_model(str(folder))
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not state its class; give --factory"):
        open_model(str(folder))


def test_a_distributed_checkpoint_is_named_with_what_joins_it(tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(b"x")
    (tmp_path / "__0_0.distcp").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match=r"of torch\.distributed\.checkpoint; python -m torch"):
        open_model(str(tmp_path), factory=FACTORY)
    with pytest.raises(ModelError, match=r"is part of a torch\.distributed\.checkpoint; name its folder"):
        open_model(str(tmp_path / "__0_0.distcp"), factory=FACTORY)


def test_a_whole_module_whose_class_lies_in_the_working_folder_is_found_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    (tmp_path / "nets_of_mine.py").write_text("import torch\nclass Net(torch.nn.Linear):\n    pass\n")
    code = "import torch, nets_of_mine; torch.save(nets_of_mine.Net(3, 2), 'whole.pt')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert type(open_model("whole.pt", trust=True).module).__name__ == "Net"
