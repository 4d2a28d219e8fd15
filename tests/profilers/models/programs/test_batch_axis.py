"""Which dimension of the inputs counts the images is in the file, or is found by running, or is asked for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  needs torch

from profilers.errors import ModelError  # noqa: E402
from profilers.measuring.settings import ProfileSettings  # noqa: E402
from profilers.models.inputs import Input  # noqa: E402
from profilers.models.opening import open_model  # noqa: E402
from profilers.runtimes.pytorch import prepare  # noqa: E402


class TimeFirst(nn.Module):  # type: ignore[misc]
    """50 steps of 24 numbers through a recurrent layer: 50 * 2 * 3 * 32 * (24 + 32) operations."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(24, 32)

    def forward(self, x: Any) -> Any:
        return self.recurrent(x)[0][-1]


class Causal(TimeFirst):
    """The first step's output does not depend on the last step: it must not pass for the batch."""

    def forward(self, x: Any) -> Any:
        return self.recurrent(x)[0]


def traced(module: Any, path: Path, *args: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), args).save(str(path))
    return str(path)


@pytest.mark.parametrize("kind", [TimeFirst, Causal])
def test_a_batch_that_comes_second_is_found_by_running(kind: Any, tmp_path: Path) -> None:
    path = traced(kind(), tmp_path / "net.pt", torch.zeros(50, 4, 24))
    model = open_model(path, trust=True)
    assert model.inputs == (Input(None, (50, 24), axis=1),)
    assert any(note.startswith("dimension 1 of the inputs is the batch") for note in model.notes)


def test_the_flops_of_a_time_first_model_are_those_of_a_whole_sequence(tmp_path: Path) -> None:
    from profilers.inference.flops.counting import count_flops

    path = traced(TimeFirst(), tmp_path / "net.pt", torch.zeros(50, 4, 24))
    inference: Any = prepare(ProfileSettings(path, trust=True, batch_size=6), "cpu").inference
    assert [tuple(batch.args[0].shape) for batch in inference.batches_of[:1]] == [(50, 6, 24)]
    assert count_flops(inference) == (537_600, None)


def test_an_image_model_that_was_traced_with_one_image_takes_any_number(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))
    model = open_model(traced(network, tmp_path / "net.pt", torch.zeros(1, 1, 8, 8)), trust=True)
    assert (model.inputs, model.batch) == ((Input(None, (1, 8, 8)),), None)


class Flat(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x.reshape(1, 64).mean(1, keepdim=True)


def test_a_program_for_one_image_alone_says_so(tmp_path: Path) -> None:
    model = open_model(traced(Flat(), tmp_path / "net.pt", torch.zeros(1, 8, 8)), trust=True)
    assert (model.inputs, model.batch) == ((Input(None, (8, 8)),), 1)


class Pointwise(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x.relu() + 1


def test_where_several_dimensions_could_be_the_batch_it_is_asked_for(tmp_path: Path) -> None:
    path = traced(Pointwise(), tmp_path / "net.pt", torch.zeros(5, 4))
    with pytest.raises(ModelError, match="inputs of 5x4, and the batch dimension cannot be found; give for example --batch-axis"):
        prepare(ProfileSettings(path, trust=True), "cpu")
    assert open_model(path, trust=True, batch_axis=(1,)).inputs == (Input(None, (5,), axis=1),)
    with pytest.raises(ModelError, match="--batch-axis 2: the input is 5x4, counted from 0"):
        open_model(path, trust=True, batch_axis=(2,))
    with pytest.raises(ModelError, match="names 2 dimensions for 1 inputs"):
        open_model(path, trust=True, batch_axis=(0, 1))


def test_the_dynamic_dimension_of_an_exported_program_is_its_batch(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    shapes = ({1: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(TimeFirst(), (torch.zeros(50, 4, 24),), dynamic_shapes=shapes), path)
    model = open_model(str(path), trust=True)
    assert (model.inputs, model.batch) == ((Input(None, (50, 24), axis=1),), None)
