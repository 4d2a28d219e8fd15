"""Networks that the tests save, name as factories, and open again."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Small(nn.Module):  # type: ignore[misc]
    """A convolution, a batch norm and a linear layer: 3*4*9 + 4 + 4 + 4 + 4*4*10 + 10 = 290 parameters for 4x4 images."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)).relu().flatten(1))


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions and a shortcut without parameters (He et al. 2016, option A)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.added, self.stride = (after - before) // 2, stride

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added, self.added))
        return F.relu(shortcut + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class ResNet20(nn.Module):  # type: ignore[misc]
    """The CIFAR network of He et al. 2016, section 4.2, with n = 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Tied(nn.Module):  # type: ignore[misc]
    """Two linear layers that share one weight: 9 + 3 + 3 parameters, and a buffer of 5."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.register_buffer("offset", torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.offset.sum()


def broken() -> nn.Module:
    raise RuntimeError("no such width\nin line two")


def a_number() -> int:
    return 3


class Exported(nn.Module):  # type: ignore[misc]
    """What ONNX export must carry: grouped, strided and transposed convolutions, attention by hand, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8)
        )
        self.up = nn.ConvTranspose2d(8, 6, 2, 2)
        self.qkv, self.head = nn.Linear(6, 18), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(self.stem(x)).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        x = (query @ key.transpose(1, 2)).softmax(-1) @ value
        return self.head(x.mean(1))
