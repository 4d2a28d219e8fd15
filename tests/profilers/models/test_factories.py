"""A factory builds what the user named, or says in one line why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profilers.models.opening import open_model

torch = pytest.importorskip("torch")

from tests.profilers.networks import Small  # noqa: E402  needs torch
from tests.profilers.saving import (  # noqa: E402  needs torch
    FACTORY,
    IMAGES,
    refused,
    state_dict,
    trained,
    try_once,
)


@pytest.fixture(scope="module")
def network() -> Any:
    return trained()


def test_arguments_reach_the_factory(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(Small(classes=7).state_dict(), path)
    opened = open_model(str(path), factory=FACTORY, factory_args={"classes": 7})
    assert try_once(opened, (IMAGES,), {}).shape == (6, 7)
    assert "10x64 in the network" in refused(path, factory=FACTORY)


def test_a_factory_may_be_torchvisions_or_a_file_with_neighbours(tmp_path: Path) -> None:
    from torchvision import models

    torch.save(models.squeezenet1_1(num_classes=4).state_dict(), tmp_path / "model.pt")
    opened = open_model(str(tmp_path / "model.pt"), factory="torchvision:squeezenet1_1", factory_args={"num_classes": 4})
    assert try_once(opened, (torch.zeros(2, 3, 64, 64),), {}).shape == (2, 4)
    (tmp_path / "neighbour_of_made.py").write_text("SIZE = 3\n")
    (tmp_path / "made.py").write_text("import torch, neighbour_of_made as n\ndef make(): return torch.nn.Linear(n.SIZE, 2)\n")
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "linear.pt")
    opened = open_model(str(tmp_path / "linear.pt"), factory=f"{tmp_path / 'made.py'}:make")
    assert try_once(opened, (torch.zeros(2, 3),), {}).shape == (2, 2)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("torchvision:resnet19", "torchvision has no model 'resnet19'; it has resnet"),
        ("no_such_package.net:Net", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("no/such/file.py:Net", "factory file no/such/file.py does not exist"),
        ("tests.profilers.networks:Smal", "has no callable 'Smal'; it has Small"),
        ("tests.profilers.networks:broken", "factory tests.profilers.networks:broken failed: RuntimeError: no such width"),
        ("tests.profilers.networks:a_number", "made a int, not a torch.nn.Module"),
    ],
)
def test_a_factory_that_fails_is_reported_in_one_line(factory: str, said: str, network: Any, tmp_path: Path) -> None:
    state_dict(network, tmp_path / "model.pt")
    assert said in refused(tmp_path / "model.pt", factory=factory)


@pytest.mark.parametrize("factory", ["resnet18", "torchvision:", ":Net", "net.py:make()"])
def test_a_factory_of_another_form_is_wrong_usage(factory: str, network: Any, tmp_path: Path) -> None:
    state_dict(network, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="write torchvision:resnet18"):
        open_model(str(tmp_path / "model.pt"), factory=factory)
