"""Weights are found in checkpoints, fitted, and told where they do not fit."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.models.opening import open_model

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
def test_weights_that_do_not_fit_are_told_by_example(
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


def test_no_weights_at_all_are_told(tmp_path: Path) -> None:
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
