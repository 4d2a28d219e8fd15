"""A folded network gives the same scores, with fewer operations, and says which went."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from profilers.variants.rewriting.folding import folded  # noqa: E402
from profilers.variants.rewriting.graph import layered  # noqa: E402
from tests.profilers.variants.networks import Branches, Residual, Written, seeded  # noqa: E402  needs torch

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def _changed(network: nn.Module, *, pool_first: bool = True) -> tuple[nn.Module, tuple[str, ...]]:
    graph, changes = folded(layered(network, IMAGES[:2]), pool_first=pool_first)
    with torch.no_grad():
        expected = network(IMAGES)
        assert torch.allclose(graph(IMAGES), expected, atol=1e-5 * float(expected.abs().max()))
    return graph, changes


@pytest.mark.parametrize("pool_first", [True, False])
@pytest.mark.parametrize("make", [None, Written, Branches, Residual])
def test_the_scores_stay(make: type | None, pool_first: bool) -> None:
    _changed(seeded(make), pool_first=pool_first)


def test_norms_dropouts_and_double_rectifiers_go_and_are_counted() -> None:
    graph, changes = _changed(seeded(Written))
    assert changes == (
        "batch norms folded: 1",
        "max pools moved before their activation: 1",
        "rectifiers of non-negative values removed: 1",
        "dropouts removed: 1",
    )
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.Dropout) for layer in graph.modules())


def test_a_max_pool_stands_behind_the_activation_where_a_runtime_joins_that_with_the_convolution() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)).eval()
    assert _changed(network)[1] == ()
    graph, changes = _changed(network, pool_first=False)
    assert changes == ("max pools moved behind their activation: 1",)
    names = [str(node.target) for node in graph.graph.nodes]
    assert names.index("aten.relu.default") < names.index("aten.max_pool2d.default")


def test_a_norm_that_no_layer_feeds_alone_stays() -> None:
    class Norm(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.head((self.norm(x) + x).mean((2, 3)))

    _, changes = _changed(seeded(Norm))
    assert changes == ()


def test_layers_that_return_their_input_are_removed() -> None:
    network = nn.Sequential(
        nn.MaxPool2d(1), nn.AdaptiveAvgPool2d(8), nn.Conv2d(1, 4, 8), nn.Flatten(), nn.Identity(), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    _, changes = _changed(network)
    assert changes == ("pools of one value removed: 1", "reshapings to the same shape removed: 2")
