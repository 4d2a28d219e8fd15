"""Measuring from Python: a module, or any callable."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import profilers
from profilers import Plan, measure_callable, measure_module
from profilers.library import _batches
from tests.conftest import ROOT

SHORT = Plan(ci=0.5, min_s=0.05, max_s=0.5, warm_up_s=0.05, flat_s=0.02, idle_s=0.02, group_s=0.005)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.Dropout(0.5))


def test_a_module_is_measured_on_its_device_and_left_unchanged() -> None:
    module = network().train()
    cost = measure_module(module, torch.zeros(30, 1, 8, 8), batch_size=20, meter="constant:65", plan=SHORT, progress=False)
    assert cost.energy.per_inference is not None
    assert cost.energy.per_inference.value == pytest.approx(65 * cost.time_s.value, rel=1e-6)
    assert (cost.parameters, cost.flops) == (650, 1280)
    assert all(one.training for one in module.modules())
    assert "the module was in training mode, and was measured in evaluation mode" in cost.warnings
    for words in ("an image", "(constant:65, assumed, not measured)", "650 parameters", "1.28 k FLOPs", "Measured until"):
        assert words in str(cost)


def test_any_callable_is_measured_per_call_or_per_image() -> None:
    calls: list[int] = []
    cost = measure_callable(lambda: calls.append(sum(range(1000))), meter="constant:10", plan=SHORT, progress=False)
    assert len(calls) > 10
    assert " a call" in str(cost)
    assert cost.energy.source == "constant:10"
    with pytest.raises(ValueError, match="images is 0"):
        measure_callable(lambda: None, images=0)


@pytest.mark.parametrize(
    ("inputs", "sizes", "positional", "named"),
    [
        (torch.zeros(5, 3), [2, 2, 1], 1, 0),
        (torch.zeros(5, 3).numpy(), [2, 2, 1], 1, 0),
        ((torch.zeros(4, 3), torch.zeros(4)), [2, 2], 2, 0),
        ({"ids": torch.zeros(3, 3), "n": 7}, [2, 1], 0, 2),
        ([torch.zeros(6, 3), torch.zeros(1, 3)], [6, 1], 1, 0),
    ],
)
def test_inputs_are_cut_into_batches(inputs: Any, sizes: list[int], positional: int, named: int) -> None:
    made = _batches(inputs, 2)
    assert [batch.images for batch in made] == sizes
    assert {(len(batch.args), len(batch.kwargs)) for batch in made} == {(positional, named)}


@pytest.mark.parametrize("inputs", [(torch.zeros(2), torch.zeros(3)), (torch.zeros(()),), [], ["a"], {}])
def test_inputs_without_one_length_are_refused(inputs: Any) -> None:
    with pytest.raises(ValueError, match=r"inputs|batch"):
        _batches(inputs, 2)


def test_importing_profilers_loads_no_torch_and_names_what_it_lacks() -> None:
    code = "import sys, profilers; profilers.Plan; assert 'torch' not in sys.modules; print(sorted(profilers.__all__))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "measure_module" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'measure_everything'"):
        _ = profilers.measure_everything
