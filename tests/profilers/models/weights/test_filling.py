"""Weights are found in checkpoints, fitted, and told where they do not fit."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError
from profilers.models.opening import count_parameters, open_model
from profilers.models.weights.filling import Fitting

torch = pytest.importorskip("torch")

from tests.profilers.saving import (  # noqa: E402  needs torch
    FACTORY,
    data_parallel_checkpoint,
    refused,
    rewritten,
    state_dict,
    trained,
)


@pytest.fixture(scope="module")
def network() -> Any:
    return trained()


def test_what_was_assumed_of_a_checkpoint_is_noted(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    data_parallel_checkpoint(network.half(), path)
    network.float()
    notes = open_model(str(path), factory=FACTORY).notes
    assert notes == (
        "weights taken from the entry 'model_state_dict' of a checkpoint",
        "prefix 'module.' removed from every key",
        "weights saved as float16 are cast to the network's own type",
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state.update({"x" * 5000: torch.zeros(1)}), "it also has " + "x" * 80),
        (lambda state: state.pop("head.bias"), "does not fit tests.profilers.networks:Small: it lacks head.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "it also has extra"),
        (lambda state: state.update({"head.weight": torch.zeros(7, 64)}), "head.weight 7x64 in the file, 10x64 in the network"),
        (lambda state: [state.pop(key) for key in list(state)[:5]], "it lacks conv.weight, conv.bias, norm.weight and 2 more"),
    ],
)
def test_weights_that_do_not_fit_are_reported_by_example(
    spoil: Callable[[Any], Any], said: str, network: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    state = network.state_dict()
    spoil(state)
    torch.save(state, path)
    assert said in refused(path, factory=FACTORY)


def test_a_checkpoint_with_a_harmless_class_still_needs_trust_and_then_gives_its_weights(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"args": argparse.Namespace(lr=0.1), "model": network.state_dict()}, path)
    assert "is a pickle that names argparse.Namespace: opening it can run any code; --trust" in refused(path, factory=FACTORY)
    opened = open_model(str(path), factory=FACTORY, trust=True)
    assert opened.format == "state_dict"


def test_no_weights_at_all_are_reported(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.2}, tmp_path / "model.pt")
    assert "holds no state_dict (entries 'epoch', 'loss')" in refused(tmp_path / "model.pt", factory=FACTORY)
    torch.save(torch.zeros(3), tmp_path / "model.pt")
    assert "holds no state_dict (a Tensor)" in refused(tmp_path / "model.pt", factory=FACTORY)


def test_weights_that_were_saved_on_a_gpu_open_on_the_cpu(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    state_dict(network, path)
    # the place of every storage is a word of the pickle; of the same length, as a pickle tells lengths
    rewritten(path, lambda name, content: content.replace(b"\x03\x00\x00\x00cpu", b"\x06\x00\x00\x00cuda:0"))
    with pytest.raises(RuntimeError, match="CUDA"):  # the twin: plain torch cannot, where there is none
        torch.load(path, weights_only=True)
    opened = open_model(str(path), factory=FACTORY)
    assert {parameter.device.type for parameter in opened.module.parameters()} == {"cpu"}  # type: ignore[attr-defined]


def plain() -> Any:
    torch.manual_seed(9)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4))


def filled(content: Any, tmp_path: Path, *, factory: str = "plain", **how: Any) -> Any:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    return open_model(str(path), factory=f"{__name__}:{factory}", fitting=Fitting(**how))


def ones(prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name}": torch.ones_like(tensor) for name, tensor in plain().state_dict().items()}


def has_ones(model: Any) -> bool:
    return all(bool((tensor == 1).all()) for tensor in model.module.parameters())


@pytest.mark.parametrize("name", ["ema", "model_ema", "params_ema", "state_dict_ema", "ema_model"])
def test_averaged_weights_are_mentioned_and_taken_when_they_are_named(name: str, tmp_path: Path) -> None:
    content = {"params": plain().state_dict(), name: ones(), "epoch": 3}
    assert any(note.endswith(f"--entry {name} measures them") for note in filled(content, tmp_path).notes)
    assert not has_ones(filled(content, tmp_path))
    assert has_ones(filled(content, tmp_path, entry=name))
    assert has_ones(filled({name: ones()}, tmp_path)), "the only weights there are"


def test_an_entry_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    content = {"params": ones(), "nested": {"params_ema": ones()}}
    with pytest.raises(ModelError, match=r"no weights in the entry 'ema'; it has params, nested.params_ema$"):
        filled(content, tmp_path, entry="ema")
    assert has_ones(filled(content, tmp_path, entry="nested.params_ema"))


def test_several_weights_without_a_usual_name_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds several weights; choose with --entry: it has generator, critic"):
        filled({"generator": ones(), "critic": ones()}, tmp_path)


@pytest.mark.parametrize(
    "rename",
    [
        lambda key: f"module.{key}",
        lambda key: f"_orig_mod.{key}",
        lambda key: key.replace("0.", "0._orig_mod."),
        lambda key: f"model._orig_mod.{key}",
        lambda key: f"net.{key}",
        lambda key: f"_fsdp_wrapped_module.{key}".replace("1.", "1._fsdp_wrapped_module."),
        lambda key: f"module.{key}".replace("1.", "1.module."),
    ],
)
def test_what_wrappers_put_into_keys_is_removed(rename: Callable[[str], str], tmp_path: Path) -> None:
    assert has_ones(filled({rename(key): tensor for key, tensor in ones().items()}, tmp_path))


def test_an_averaged_model_is_its_module(tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(plain())
    averaged.load_state_dict(ones("module.") | {"n_averaged": torch.tensor(7)})
    assert has_ones(filled(averaged.state_dict(), tmp_path))


def test_numbers_that_lightning_keeps_beside_the_network_are_left_out_and_reported(tmp_path: Path) -> None:
    content = {"state_dict": ones("model.") | {"criterion.weight": torch.ones(3)}, "epoch": 1}
    model = filled(content, tmp_path)
    assert has_ones(model)
    assert "1 key of the file left out: criterion.weight" in model.notes


def test_surplus_and_missing_keys_are_refused_or_on_request_counted(tmp_path: Path) -> None:
    content = ones() | {"2.weight": torch.ones(2)}
    del content["1.bias"]
    with pytest.raises(
        ModelError, match=r"it lacks 1.bias; it also has 2.weight \(--rename OLD=NEW maps keys, --no-strict leaves them out\)"
    ):
        filled(content, tmp_path)
    notes = filled(content, tmp_path, strict=False).notes
    assert "1 key of the file left out: 2.weight" in notes
    assert "1 key of the network not in the file, left at fresh values: 1.bias" in notes
    with pytest.raises(ModelError, match="does not fit"):
        filled({"other": torch.ones(1)}, tmp_path, strict=False)


def test_keys_are_renamed_by_a_pattern(tmp_path: Path) -> None:
    content = {key.replace("weight", "gamma").replace("bias", "beta"): tensor for key, tensor in ones().items()}
    assert has_ones(filled(content, tmp_path, renames=("gamma=weight", "beta$=bias")))
    for wrong in ("gamma", "(=a", "=a"):
        with pytest.raises(ModelError, match="--rename"):
            filled(content, tmp_path, renames=(wrong,))


class Tied(torch.nn.Module):  # type: ignore[misc,name-defined]
    """An embedding and a head of the same numbers, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = torch.nn.Embedding(7, 5), torch.nn.Linear(5, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Any) -> Any:
        return self.head(self.embedding(ids))


def untied() -> Any:
    network = Tied()
    network.head.weight = torch.nn.Parameter(torch.zeros(7, 5))
    return network


@pytest.mark.parametrize(("factory", "parameters"), [("Tied", 35), ("untied", 70)])
def test_weights_that_are_shared_are_saved_once_loaded_and_counted_once(factory: str, parameters: int, tmp_path: Path) -> None:
    from safetensors.torch import save_model

    path = tmp_path / "tied.safetensors"
    saved = Tied()
    save_model(saved, str(path))
    model = open_model(str(path), factory=f"{__name__}:{factory}")
    ids = torch.arange(7)[None]
    torch.testing.assert_close(model.module(ids), saved(ids))
    assert count_parameters(model.module).total == parameters
