"""Fewer weights, or fewer bits of each."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from profilers.errors import ModelError  # noqa: E402
from profilers.variants.rewriting.graph import layered  # noqa: E402
from profilers.variants.rewriting.narrowing import in_bfloat16, low_rank  # noqa: E402
from tests.profilers.variants.networks import seeded  # noqa: E402  needs torch

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def test_a_matrix_that_has_a_low_rank_keeps_its_scores() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(64 * 36, 10))
    with torch.no_grad():
        network[2].weight.copy_((torch.randn(64, 16) @ torch.randn(16, 576)).reshape(64, 64, 3, 3) / 50)
    graph = layered(network.eval(), IMAGES[:2])
    narrow, changes = low_rank(graph, 0.5)
    assert changes == ("layers of lower rank: 1 of 3: 64x576 to rank 24",)
    with torch.no_grad():
        assert torch.allclose(narrow(IMAGES), network(IMAGES), atol=1e-4)
    weights = sum(parameter.numel() for parameter in narrow.get_submodule("layer_conv2d_1").parameters())
    assert weights == 24 * (576 + 64) + 64


def test_a_network_of_narrow_layers_has_no_low_rank() -> None:
    with pytest.raises(ModelError, match="no layer has 64 inputs and outputs"):
        low_rank(layered(seeded(), IMAGES[:2]), 0.95)


def test_bfloat16_takes_and_gives_float32_and_says_which_layout_is_faster() -> None:
    network = seeded()
    narrow, changes = in_bfloat16(layered(network, IMAGES[:2]), IMAGES)
    with torch.no_grad():
        scores, expected = narrow(IMAGES), network(IMAGES)
    assert scores.dtype == torch.float32
    assert 0 < (scores - expected).abs().max() < 0.05 * expected.abs().max()
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.bfloat16}
    assert "of the time of contiguous here" in changes[0]
