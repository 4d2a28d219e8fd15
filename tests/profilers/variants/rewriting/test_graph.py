"""A network as a graph of layers computes what the network computes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from profilers.errors import ModelError  # noqa: E402
from profilers.variants.rewriting.graph import layered, weighted  # noqa: E402
from tests.profilers.networks import Tied  # noqa: E402  needs torch
from tests.profilers.variants.networks import Branches, Residual, Written, seeded  # noqa: E402  needs torch

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("make", [None, Written, Branches, Residual])
def test_the_graph_gives_the_same_scores_to_the_bit_and_can_be_trained(make: type | None) -> None:
    network = seeded(make)
    graph = layered(network, IMAGES[:2])
    with torch.no_grad():
        assert torch.equal(graph(IMAGES), network(IMAGES))
        assert torch.equal(graph(IMAGES[:1]), network(IMAGES[:1]))
    graph.train()(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in graph.parameters())


def test_layers_are_found_however_they_are_written() -> None:
    layers = [type(layer).__name__ for _, layer in weighted(layered(seeded(Written), IMAGES[:2]))]
    assert layers == ["Conv2d", "Conv2d", "Linear"]


def test_the_network_itself_is_left_as_it_was() -> None:
    network = seeded()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    graph = layered(network, IMAGES[:2])
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class _Two(nn.Module):  # type: ignore[misc]
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, x


def test_what_has_no_layers_or_several_outputs_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="gives 2 outputs"):
        layered(_Two(), IMAGES[:2])
    with pytest.raises(ModelError, match="its layers cannot be changed"):
        layered(lambda x: x, IMAGES[:2])


def test_layers_that_share_a_weight_give_the_same_scores() -> None:
    network = Tied().eval()
    vectors = torch.randn(4, 3)
    with torch.no_grad():
        assert torch.equal(layered(network, vectors[:2])(vectors), network(vectors))
