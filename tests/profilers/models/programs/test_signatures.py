"""Inputs are taken from a program where it tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError
from profilers.models.inputs import Input, make_batch
from profilers.models.opening import open_model

torch = pytest.importorskip("torch")

from tests.profilers.saving import try_once  # noqa: E402  needs torch


class Mixed(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any, gain: float, *, mask: Any) -> Any:
        return (x * gain * mask).sum(1)


def test_a_fixed_batch_and_named_and_constant_inputs_are_taken_from_an_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    program = torch.export.export(Mixed(), (torch.zeros(4, 5), 0.5), {"mask": torch.ones(4, 5, dtype=torch.bool)})
    torch.export.save(program, path)
    model = open_model(str(path), trust=True)
    assert model.batch == 4
    assert model.inputs == (Input(None, (5,)), Input(None, None, "float", 0.5), Input("mask", (5,), "bool"))
    assert try_once(model, *make_batch(model.inputs, 4, 0)).shape == (4,)
    with pytest.raises(ModelError, match="Guard failed"):
        try_once(model, *make_batch(model.inputs, 3, 0))


class Nested(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, pair: Any) -> Any:
        return pair[0] + pair[1]


class Table(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any, table: Any) -> Any:
        return x @ table


@pytest.mark.parametrize("args", [(torch.zeros(4, 5), torch.zeros(5, 3)), (torch.zeros(5), torch.zeros(5))])
def test_inputs_without_one_batch_are_unknown_and_labelled(args: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(Table(), args), path)
    model = open_model(str(path), trust=True)
    assert model.inputs is None
    assert "the batch dimension cannot be found; give for example --batch-axis" in model.notes[0]


def test_nested_inputs_are_taken_from_an_exported_program_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(Nested(), ((torch.zeros(2, 3), torch.zeros(2, 3)),)), path)
    model = open_model(str(path), trust=True, batch_axis=(0,))
    assert model.inputs == (Input("0(0)", (3,)), Input("0(1)", (3,)))
    assert try_once(model, *make_batch(model.inputs, 2, 0)).shape == (2, 3)
