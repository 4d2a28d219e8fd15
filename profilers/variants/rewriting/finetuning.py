"""Train a changed network for a few epochs, to regain lost accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from profilers.errors import ModelError

# AdamW with a one-cycle learning rate (Smith and Topin 2018); settings of our own, chosen on digits.
_RATE = 1e-3
_WARM_UP = 0.3
_WEIGHT_DECAY = 1e-2
_BATCH = 64
_FEWEST_STEPS = 30  # smaller batches for a small set, down to 8 images


def fine_tune(
    network: nn.Module, images: Callable[[NDArray[np.int64]], Tensor], labels: NDArray[np.int64], /, *, epochs: int, seed: int
) -> None:
    """Train a network in place, and leave it in evaluation mode; `images` returns the normalised images of some rows.

    ModelError if the loss is not finite.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)  # randomness of dropouts
    size = min(_BATCH, max(8, len(labels) // _FEWEST_STEPS))
    total = epochs * math.ceil(len(labels) / size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=max(2, total), pct_start=_WARM_UP)
    network.train()
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(labels)), math.ceil(len(labels) / size)):
            loss = cross_entropy(network(images(rows)), torch.from_numpy(labels[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        if not math.isfinite(loss.item()):
            raise ModelError("fine-tuning gave a loss that is not finite")
    network.eval()
