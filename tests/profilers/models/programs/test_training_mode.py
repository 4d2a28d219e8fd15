"""A program that was saved in training mode is switched to evaluation, and that is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  needs torch

from profilers.models.opening import open_model  # noqa: E402

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(5))


def network() -> Any:
    torch.manual_seed(6)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(0.3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3))
    made = nn.Sequential(*layers)
    made(3 * IMAGES + 1)  # statistics that are not the initial ones
    return made


def traced(made: Any, path: Path) -> None:
    torch.jit.trace(made, IMAGES, check_trace=False).save(str(path))


def exported(made: Any, path: Path) -> None:
    torch.export.save(torch.export.export(made, (IMAGES,)), path)


@pytest.mark.parametrize("save", [traced, exported])
def test_dropout_and_batch_statistics_are_switched_off(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    training = network().train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(training, path)
    model = open_model(str(path), trust=True)
    said = "the program was saved in training mode; switched to evaluation: 1 batch_norm, 1 dropout, 1 feature_dropout"
    assert said in model.notes
    torch.testing.assert_close(model.module(IMAGES), training.eval()(IMAGES))


@pytest.mark.parametrize("save", [traced, exported])
def test_a_program_that_was_saved_in_evaluation_mode_is_left_as_it_is(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    save(network().eval(), path)
    assert not any("training mode" in note for note in open_model(str(path), trust=True).notes)


def test_random_numbers_that_no_switch_reaches_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    program = torch.export.export(network().train(), (IMAGES,)).run_decompositions()
    torch.export.save(program, path)
    assert any("draws random numbers when it runs (bernoulli)" in note for note in open_model(str(path), trust=True).notes)
