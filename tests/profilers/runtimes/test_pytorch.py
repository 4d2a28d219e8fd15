"""A model and its batches, ready to be measured, whatever numbers and layers it has."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from profilers.errors import ModelError
from profilers.measuring.settings import ProfileSettings
from profilers.runtimes.pytorch import prepare


class Complex(nn.Module):  # type: ignore[misc]
    """A filter in the complex plane, of which the imaginary part alone tells the sign."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.full((8,), 1j, dtype=torch.complex64))
        self.scale = nn.Parameter(torch.ones(8, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.filter).imag * self.scale


class Rotary(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 2)
        self.register_buffer("turns", torch.full((4,), 1j, dtype=torch.complex64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x) + self.turns.imag.sum().to(x.dtype)


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.LazyLinear(2))


def fresh(factory: str, **more: Any) -> ProfileSettings:
    return ProfileSettings("", factory=f"{__name__}:{factory}", inputs=("8",), batch_size=3, **more)


def prepared_module(settings: ProfileSettings) -> Any:
    inference: Any = prepare(settings, "cpu").inference
    return inference.module


@pytest.mark.parametrize("more", [{}, {"channels_last": True}])
def test_complex_weights_keep_their_imaginary_part(more: dict[str, Any]) -> None:
    module = prepared_module(fresh("Complex", **more))
    assert module.filter.dtype == torch.complex64
    assert module(torch.ones(8)).tolist() == [1.0] * 8


def test_complex_weights_are_refused_in_a_precision_that_does_not_hold_them() -> None:
    with pytest.raises(ModelError, match="has complex weights, which bf16 cannot hold"):
        prepare(fresh("Complex", precision="bf16"), "cpu")


def test_complex_numbers_beside_the_weights_stay_unchanged() -> None:
    module = prepared_module(fresh("Rotary", precision="bf16"))
    assert module.head.weight.dtype == torch.bfloat16
    assert module.turns.tolist() == [1j] * 4


def test_lazy_layers_get_their_shapes_from_the_first_batch() -> None:
    assert prepare(fresh("lazy"), "cpu").parameters.total == 8 * 5 + 5 + 2 * 5 + 5 * 2 + 2


def test_a_factory_alone_gives_a_network_with_fresh_weights_and_says_so() -> None:
    prepared = prepare(fresh("lazy"), "cpu")
    assert prepared.format == "factory"
    assert "weights are fresh: its accuracy is meaningless" in prepared.notes
    assert fresh("lazy").candidate == "lazy-b3"


def test_torchscript_is_not_compiled_and_that_is_reported_before_anything_is_measured(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(8, 2)).save(str(tmp_path / "net.pt"))
    settings = ProfileSettings(str(tmp_path / "net.pt"), trust=True, inputs=("8",), compile=True)
    with pytest.raises(ModelError, match=r"is a compiled program, which torch\.compile does not accept"):
        prepare(settings, "cpu")


def test_inputs_are_placed_in_lists_and_dicts_with_ranges() -> None:
    from profilers.models.inputs import make_batch, parse_inputs

    inputs = parse_inputs(["0.image=3x4", "0.ids=6:int64<30522", "pair[0]=2", "pair[1]=2", "point(0)=1"])
    args, kwargs = make_batch(inputs, 50, 0)
    sample: Any = args[0]
    assert {name: tuple(tensor.shape) for name, tensor in sample.items()} == {"image": (50, 3, 4), "ids": (50, 6)}
    assert 20_000 < int(sample["ids"].max()) < 30_522
    assert isinstance(kwargs["pair"], list)
    assert isinstance(kwargs["point"], tuple)
    for wrong in (["a=2", "a[0]=2"], ["a[1]=2"], ["a[0]=2", "a.b=2"], ["ids=2:float32<5"], ["ids=2:int64<0"], ["ids=2:int64<"]):
        with pytest.raises(ValueError, match="input"):
            make_batch(parse_inputs(wrong), 2, 0)
