"""Networks whose variants the tests make."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Written(nn.Module):  # type: ignore[misc]
    """A network that writes its layers in several ways: as modules, as functions, and as a view of fixed size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.kernel = nn.Parameter(torch.randn(24, 16, 3, 3) / 12)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(24 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.norm(self.conv(x)).relu(), 2)
        x = F.conv2d(x, self.kernel, stride=2, padding=1).relu_().relu()
        return self.head(self.drop(x.view(x.size(0), 96)))


class Branches(nn.Module):  # type: ignore[misc]
    """A layer whose branches are joined along the channels, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3)
        self.left, self.right = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 24, 3, padding=1)
        self.head = nn.Linear(40 * 9, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = torch.cat((self.left(x), self.right(x)), dim=1).relu()
        return self.head(F.avg_pool2d(x, 2).flatten(1))


class Residual(nn.Module):  # type: ignore[misc]
    """Two convolutions that an addition ties to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = (x + self.norm(self.second(x))).relu()
        return self.head(x.mean((2, 3)))


def sequential() -> nn.Sequential:
    """Return a network as those of the small benchmark, for digits of 8 x 8."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def seeded(make: type[nn.Module] | None = None) -> nn.Module:
    """Return a network with the same weights each time, and statistics in its batch norms that are not the initial ones."""
    torch.manual_seed(4)
    network = sequential() if make is None else make()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()
