"""Channels are cut together with all that reads them: what is left computes as if the cut ones were zero."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from profilers.errors import ModelError  # noqa: E402
from profilers.variants.rewriting.channels import sources  # noqa: E402
from profilers.variants.rewriting.cutting import cut, is_sequential, kept_width  # noqa: E402
from profilers.variants.rewriting.graph import layered, weighted  # noqa: E402
from tests.profilers.variants.networks import Branches, Residual, Written, seeded  # noqa: E402  needs torch

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def _strongest(weight: Tensor, kept: int) -> Tensor:
    return weight.abs().flatten(1).sum(1).topk(kept).indices


@pytest.mark.parametrize("make", [Branches, None])
def test_a_cut_network_is_the_whole_one_with_the_weakest_channels_at_zero(make: type | None) -> None:
    network = seeded(make)
    if make is None:  # a batch norm would shift a channel of zeros
        network = nn.Sequential(*(layer for layer in network if not isinstance(layer, nn.BatchNorm2d))).eval()
    narrow, changes = cut(layered(network, IMAGES[:2]), 0.5, IMAGES[:2])
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer in layers[:-1]:
            weak = torch.ones(len(layer.weight), dtype=torch.bool)
            weak[_strongest(layer.weight, kept_width(len(layer.weight), 0.5))] = False
            layer.weight[weak] = 0
            if layer.bias is not None:
                layer.bias[weak] = 0
        assert torch.allclose(narrow(IMAGES), network(IMAGES), atol=1e-5)
    assert changes[0].startswith(f"channels cut in {len(layers) - 1} of {len(layers) - 1} layers: 16 to 8")


def test_the_strength_of_a_filter_is_that_behind_its_batch_norm() -> None:
    network = seeded()
    norm = network[1]
    with torch.no_grad():
        norm.weight[:] = 1e-6
        norm.weight[[1, 3, 5, 7, 9, 11, 13, 15]] = 1.0
    narrow, _ = cut(layered(network, IMAGES[:2]), 0.5, IMAGES[:2])
    _, first = next(weighted(narrow))
    assert torch.equal(first.weight.detach(), network[0].weight.detach()[1::2])


@pytest.mark.parametrize(
    ("width", "share", "kept"),
    [(64, 0.25, 48), (64, 0.5, 32), (24, 0.5, 16), (8, 0.9, 8), (6, 0.5, 6), (20, 0.5, 8), (100, 0.01, 96)],
)
def test_widths_are_multiples_of_eight_and_never_none(width: int, share: float, kept: int) -> None:
    assert kept_width(width, share) == kept


def test_a_network_that_writes_sizes_into_its_code_is_cut_all_the_same() -> None:
    narrow, _ = cut(layered(seeded(Written), IMAGES[:2]), 0.5, IMAGES[:2])
    assert narrow(IMAGES).shape == (5, 10)
    assert [len(layer.weight) for _, layer in weighted(narrow)] == [8, 16, 10]


def test_layers_that_an_addition_ties_are_cut_by_torch_pruning() -> None:
    pytest.importorskip("torch_pruning")
    graph = layered(seeded(Residual), IMAGES[:2])
    assert not is_sequential(graph)
    assert sources(graph)[1] == ["layer_conv2d", "layer_conv2d_1"]
    narrow, _ = cut(graph, 0.5, IMAGES[:2])
    assert [len(layer.weight) for _, layer in weighted(narrow)] == [16, 16, 10]
    assert narrow(IMAGES).shape == (5, 10)


def test_a_network_too_narrow_to_cut_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).eval()
    with pytest.raises(ModelError, match="no layer can lose 50% of its channels"):
        cut(layered(network, IMAGES[:2]), 0.5, IMAGES[:2])
