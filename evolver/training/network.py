"""Build the PyTorch module of a genome."""

from __future__ import annotations

import math

import torch
from torch import nn

from evolver.architectures.genome import (
    Activation,
    ActivationKind,
    Convolution,
    Dropout,
    Genome,
    Inception,
    InnerProduct,
    Layer,
    Pooling,
)
from evolver.architectures.shapes import describe, half
from evolver.architectures.space import Space

_ACTIVATIONS: dict[ActivationKind, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
# 1 / sqrt(E f(x)**2) for x from N(0, 1)
_GAINS: dict[type[nn.Module], float] = {nn.ReLU: 1.414, nn.LeakyReLU: 1.414, nn.ELU: 1.245, nn.Tanh: 1.593, nn.Sigmoid: 1.846}


class InceptionLayer(nn.Module):  # type: ignore[misc]
    """Four branches of one genome layer, concatenated along the channels; float [n, channels, height, width] in and out."""

    def __init__(self, layer: Inception, channels: int) -> None:
        super().__init__()
        self.branch_1x1 = _convolution(channels, layer.channels_1x1, 1)
        self.reduce_3x3 = _convolution(channels, layer.reduce_3x3, 1)
        self.branch_3x3 = _convolution(layer.reduce_3x3, layer.channels_3x3, 3)
        self.reduce_5x5 = _convolution(channels, layer.reduce_5x5, 1)
        self.branch_5x5 = _convolution(layer.reduce_5x5, layer.channels_5x5, 5)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.branch_pool = _convolution(channels, layer.channels_pool, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        branches = (
            self.branch_1x1(images),
            self.branch_3x3(self.reduce_3x3(images).relu()),
            self.branch_5x5(self.reduce_5x5(images).relu()),
            self.branch_pool(self.pool(images)),
        )
        return torch.cat(branches, dim=1).relu()


def build(genome: Genome, space: Space) -> nn.Sequential:
    """Return the network of the slots that are on, on torch's default device, with weights from `initialise`.

    It maps normalised images, float [n, channels, height, width], to logits [n, classes]. It includes redundant layers; pass
    `canonical(genome, space)` to leave them out. Raises ValueError if a window does not fit.
    """
    modules: list[nn.Module] = []
    shape, flat = space.input_shape, False
    with torch.device("meta"):  # the layers' own initial weights would be discarded
        for placed in describe(genome, space).layers:
            if isinstance(placed.layer, InnerProduct) and not flat:
                modules.append(nn.Flatten())
                flat = True
            modules.append(_module(placed.layer, shape))
            shape = placed.output
    network = nn.Sequential(*modules).to_empty(device=torch.get_default_device())
    initialise(network)
    return network


def initialise(network: nn.Sequential) -> None:
    """Draw weights that preserve the scale of activations, with torch's global generator, and set biases to 0.

    Weights follow N(0, gain**2 / fan_in) (He et al. 2015, eq. 10), with the gain of the activation before them. The last
    inner product starts at a tenth of that, so that training begins near equal probabilities.
    """
    gain = 1.0
    for module in network:
        gain = _drawn(module, gain)
    with torch.no_grad():
        network[-1].weight.mul_(0.1)


def _drawn(module: nn.Module, gain: float) -> float:
    """Draw the weights of one module after an activation with a gain; return the gain for the next module."""
    if isinstance(module, InceptionLayer):
        for convolution in (module.branch_1x1, module.reduce_3x3, module.reduce_5x5, module.branch_pool):
            _drawn(convolution, gain)
        for convolution in (module.branch_3x3, module.branch_5x5):
            _drawn(convolution, _GAINS[nn.ReLU])
        return _GAINS[nn.ReLU]
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()))
        nn.init.zeros_(module.bias)
        return 1.0
    return _GAINS.get(type(module), gain)


def _module(layer: Layer, shape: tuple[int, int, int]) -> nn.Module:
    channels, height, width = shape
    match layer:
        case Convolution():
            kernel = (layer.kernel_h, layer.kernel_w)
            padding = (half(layer.kernel_h), half(layer.kernel_w)) if layer.padding == "half" else (0, 0)
            stride = (layer.stride_h, layer.stride_w)
            return nn.Conv2d(channels, layer.channels, kernel, stride=stride, padding=padding)
        case Inception():
            return InceptionLayer(layer, channels)
        case Pooling():
            pool = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
            return pool((layer.kernel_h, layer.kernel_w), stride=(layer.stride_h, layer.stride_w))
        case Activation():
            return _ACTIVATIONS[layer.kind]()
        case Dropout():
            return nn.Dropout(layer.rate)
        case InnerProduct():
            return nn.Linear(channels * height * width, layer.units)


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=half(kernel))
