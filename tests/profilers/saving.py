"""Save one network in every format, and change what was saved."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError
from profilers.models.opening import SavedModel, open_model

torch = pytest.importorskip("torch")

from profilers.inference.batches import Batch  # noqa: E402  needs torch
from profilers.inference.running import TorchInference  # noqa: E402  needs torch
from tests.profilers.networks import Small  # noqa: E402  needs torch

FACTORY = "tests.profilers.networks:Small"
IMAGES = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(11))


def trained() -> Any:
    """Return the same network each time, with statistics in its batch norm that are not the initial ones."""
    torch.manual_seed(4)
    network = Small()
    network(IMAGES)
    return network.eval()


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as error:
        open_model(str(path), **options)
    message = str(error.value)
    assert "\n" not in message
    assert "weights_only" not in message
    return message


def try_once(model: SavedModel, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
    """Run a model on one batch as a measurement does, and return its output."""
    inference = TorchInference(model.module, [Batch(args, kwargs, 1)], device=torch.device("cpu"), mode="paper")
    return next(inference.outputs())[0]


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, change(name, content))


def state_dict(network: Any, path: Path) -> None:
    torch.save(network.state_dict(), path)


def legacy(network: Any, path: Path) -> None:
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)


def data_parallel_checkpoint(network: Any, path: Path) -> None:
    state = torch.nn.DataParallel(network).state_dict()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9).state_dict()
    torch.save({"epoch": 3, "optimizer": optimizer, "model_state_dict": state}, path)


def compiled_in_lightning(network: Any, path: Path) -> None:
    state = {f"model._orig_mod.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"lr": 0.1}}, path)


def nested_entry(network: Any, path: Path) -> None:
    torch.save({"model": {"state_dict": network.state_dict()}}, path)


def safetensors(network: Any, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(network.state_dict(), path)


def whole(network: Any, path: Path) -> None:
    torch.save(network, path)


def whole_in_a_checkpoint(network: Any, path: Path) -> None:
    torch.save({"epoch": 3, "model": network}, path)


def scripted(network: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(str(path))


def traced(network: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network, IMAGES).save(str(path))


def exported(network: Any, path: Path) -> None:
    batch = torch.export.Dim("batch")
    with path.open("wb") as file:
        torch.export.save(torch.export.export(network, (IMAGES,), dynamic_shapes=({0: batch},)), file)
