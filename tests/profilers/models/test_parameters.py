"""Parameters are counted once, in every kind of module; what is hidden is null."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest

from profilers.models.parameters import Parameters, count_parameters

torch = pytest.importorskip("torch")

from tests.profilers.networks import Small, Tied  # noqa: E402  needs torch

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.jit is deprecated, and measured all the same
# Tied: weight 9 (shared), biases 3 + 3 of which one takes no gradient, buffer 5; float32
TIED = Parameters(total=15, trainable=12, buffers=5, bytes=80)


def scripted(module: Any) -> Any:
    saved = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), saved)
        return torch.jit.load(io.BytesIO(saved.getvalue()))


def test_a_shared_weight_counts_once() -> None:
    assert count_parameters(Tied()) == TIED


def test_a_shared_weight_counts_once_in_torchscript() -> None:
    assert count_parameters(scripted(Tied())) == TIED


def test_a_shared_weight_counts_once_in_an_exported_program() -> None:
    program = torch.export.export(Tied().eval(), (torch.zeros(2, 3),))
    assert count_parameters(program.module()) == TIED


def test_a_network_of_three_layers_has_the_parameters_of_its_formula() -> None:
    # conv 3*4*9+4, norm 4+4, head 64*10+10; buffers: running mean and variance of 4, and an int64 count of batches
    assert count_parameters(Small()) == Parameters(770, 770, 9, 770 * 4 + 8 * 4 + 8)


def test_bytes_follow_the_type() -> None:
    assert count_parameters(Small().half()).bytes == 770 * 2 + 8 * 2 + 8


def test_a_network_without_parameters_has_zero() -> None:
    assert count_parameters(torch.nn.ReLU()) == Parameters(0, 0, 0, 0)


def test_tensors_without_memory_are_counted() -> None:
    with torch.device("meta"):
        assert count_parameters(Tied()) == TIED


@pytest.mark.parametrize("through", [lambda module: module, scripted])
def test_packed_weights_of_a_quantised_network_are_null(through: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.ao.quantization.quantize_dynamic(Small().eval(), {torch.nn.Linear})
    counted = count_parameters(through(network))
    assert (counted.total, counted.trainable, counted.bytes) == (None, None, None)
    assert counted.reason == "quantised layers hide packed weights"


def test_weights_of_a_frozen_program_are_null() -> None:
    frozen = torch.jit.freeze(scripted(Tied().eval()))
    assert count_parameters(frozen).total is None
    assert count_parameters(frozen).reason == "the program is frozen: its weights are constants"


def test_weights_that_stand_in_buffers_are_null() -> None:
    module = torch.nn.Module()
    module.register_buffer("qweight", torch.zeros(8, dtype=torch.int32))
    assert count_parameters(module) == Parameters(None, None, 8, None, "quantised layers keep packed weights in buffers")
    module = torch.nn.Module()
    module.register_buffer("weight", torch.zeros(8, dtype=torch.int8))
    assert count_parameters(module).total is None


def test_several_weights_in_a_byte_are_null() -> None:
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.zeros(8, dtype=torch.uint8), requires_grad=False)
    assert count_parameters(module).total is None


def test_a_layer_without_shape_is_null() -> None:
    assert count_parameters(torch.nn.LazyLinear(3)).reason == "a lazy layer has no shape before its first input"


def test_a_native_package_is_null() -> None:
    assert count_parameters(lambda x: x).total is None
