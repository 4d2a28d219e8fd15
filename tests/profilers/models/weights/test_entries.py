"""Finding the weights in a checkpoint."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from profilers.errors import ModelError
from profilers.models.weights.entries import find_state


def test_entries_that_a_pickle_names_again_and_again_are_looked_at_once() -> None:
    inner: dict[str, Any] = {}
    for _ in range(3):
        inner = {f"k{number}": inner for number in range(3000)}
    begin = time.process_time()
    with pytest.raises(ModelError, match="holds no state_dict"):
        find_state(inner, None, [], file="m.pt")
    assert time.process_time() - begin < 5
    assert find_state({"a": inner, "net": {"w": torch.zeros(1)}}, None, [], file="m.pt")["w"].shape == (1,)
