"""Train a small convolutional network on the digits: python data/digits_cnn.py digits_cnn.pt (needs ecosel[torch])."""

from __future__ import annotations

import sys

import torch
from torch import nn


def network() -> nn.Sequential:
    """Return the network with fresh weights, 90,090 of them."""
    layers: list[nn.Module] = []
    for inputs, outputs, pools in ((1, 32, False), (32, 64, True), (64, 64, True)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pools else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def trained(*, epochs: int = 8) -> nn.Sequential:
    """Return the network, trained on the training images."""
    from profilers.datasets import load_dataset
    from profilers.models.inputs import image_batch
    from profilers.variants.rewriting.finetuning import fine_tune

    torch.manual_seed(0)
    made, data = network(), load_dataset("digits", split="train")
    fine_tune(made, lambda rows: image_batch(data, rows), data.labels, epochs=epochs, seed=0)
    return made


if __name__ == "__main__":
    torch.save(trained().state_dict(), sys.argv[1])
