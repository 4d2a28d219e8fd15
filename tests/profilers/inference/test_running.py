"""Batches that run in a fair order, and models that do odd things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from profilers.errors import ModelError, OutOfMemory
from profilers.inference.batches import Batch
from profilers.inference.protocol import Mode
from profilers.inference.running import TorchInference
from profilers.inference.scores import count_correct

CPU = torch.device("cpu")


def batches(sizes: list[int]) -> list[Batch]:
    return [Batch((torch.full((size, 2), float(place)),), {}, size) for place, size in enumerate(sizes)]


def inference(module: Callable[..., Any], sizes: list[int], *, mode: Mode = "paper", seed: int = 0) -> TorchInference:
    return TorchInference(module, batches(sizes), device=CPU, mode=mode, seed=seed)


@pytest.mark.parametrize("mode", ["paper", "device"])
def test_a_measurement_that_ends_within_a_pass_has_seen_a_fair_sample_of_a_sorted_set(mode: Mode) -> None:
    """The first half of the batches is cheap, the second dear: the first tenth of a run must meet both."""
    seen: list[int] = []
    shares = []
    for seed in range(20):
        load = inference(lambda x: seen.append(int(x[0, 0])), [3] * 100, mode=mode, seed=seed)
        seen.clear()
        assert load.run(10) == 30
        shares.append(np.mean(np.array(seen) >= 50))
        assert load.run(90) == 270
        assert sorted(seen) == list(range(100)), "every batch once a pass"
        first_pass = seen.copy()
        seen.clear()
        load.run(100)
        assert seen == first_pass
    assert np.mean(shares) == pytest.approx(0.5, abs=0.12)


def test_outputs_come_in_the_order_of_the_data_whatever_the_order_of_the_runs() -> None:
    load = inference(lambda x: x[:, :1], [4, 4, 1])
    load.run(2)
    assert [(int(output[0, 0]), images) for output, images in load.outputs()] == [(0, 4), (1, 4), (2, 1)]  # type: ignore[index]


def test_one_batch_of_every_size_runs_so_that_a_compiler_is_set_up() -> None:
    sizes: list[int] = []
    assert inference(lambda x: sizes.append(len(x)), [4] * 30 + [1]).run_each_size() == 5
    assert sorted(sizes) == [1, 4]


class Strange(Exception):  # noqa: N818
    pass


def raising(error: BaseException) -> Callable[..., Any]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        raise error

    return forward


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Strange("first\nsecond"), "fails: Strange: first"),
        (ZeroDivisionError("division by zero"), "fails: ZeroDivisionError: division by zero"),
        (SystemExit(0), "fails: SystemExit: 0"),
        (StopIteration(), "fails: StopIteration"),
    ],
)
def test_whatever_a_model_raises_gives_one_line(error: BaseException, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        inference(raising(error), [4]).run(1)
    assert str(caught.value).startswith(f"the model on a batch of 4x2 {said}")
    assert "\n" not in str(caught.value)


def test_a_model_that_needs_more_memory_than_there_is_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="on a batch of 4x2: out of memory; use a smaller --batch-size"):
        inference(lambda x: torch.empty(1 << 60), [4]).run(1)
    with pytest.raises(OutOfMemory):
        inference(raising(MemoryError()), [4]).run(1)


def test_accuracy_needs_the_scores_of_every_image() -> None:
    labels = np.zeros(4, np.int64)
    assert count_correct([(torch.eye(4)[:, :3], 4)], labels, 3) == (2, 0)  # the last row ties, and its first class counts
    for wrong in (torch.zeros(1, 3), torch.zeros(4, 2), torch.zeros(3), torch.zeros(5, 3)):
        assert "not one score for each of 3 classes" in str(count_correct([(wrong, 4)], labels, 3)[0])
    assert (
        count_correct([(torch.zeros(4, 3, dtype=torch.bool), 4)], labels, 3)[0]
        == "the model's output is bool, which is not a score"
    )


def test_an_image_whose_scores_are_not_numbers_counts_as_wrong() -> None:
    """argmax of a row of NaN is its first place: a model of NaN would have the accuracy of class 0."""
    labels = np.zeros(4, np.int64)
    output = torch.tensor([[1.0, 0], [float("nan"), 0], [0, float("nan")], [0, 1]])
    assert count_correct([(output, 4)], labels, 2) == (1, 2)


class InPlace(torch.nn.Module):  # type: ignore[misc]
    """Work that depends on its input, which it sets to 0: on a second pass over the same numbers there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(float(x.sum()))
        return x.mul_(0)


def test_a_model_that_changes_its_inputs_sees_fresh_ones_in_every_pass() -> None:
    module = InPlace()
    load = TorchInference(module, [Batch((torch.ones(4, 2),), {}, 4)] * 2, device=CPU, mode="paper")
    load.try_out()
    assert load.notes == ("the model changes its inputs in place: each pass got fresh copies, made outside the measurement",)
    assert load.ready(3) == 3
    load.run(3)
    load.run(2)
    load.run_each_size()
    list(load.outputs())
    load.latencies(max_s=0.0)
    assert set(module.seen) == {8.0}


def test_fresh_inputs_are_no_more_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    load = TorchInference(InPlace(), [Batch((torch.ones(4, 2),), {}, 4)], device=CPU, mode="paper")
    load.try_out()
    monkeypatch.setattr("profilers.inference.running._spare_bytes", lambda device: 3 * 4 * 2 * 4)
    assert load.ready(100) == 3


def test_a_model_that_leaves_its_inputs_alone_runs_on_them_without_a_copy() -> None:
    batch = Batch((torch.full((4, 2), float("nan")),), {}, 4)
    load = TorchInference(lambda x: x + 1, [batch], device=CPU, mode="paper")
    load.try_out()
    assert not load.changes_inputs
    assert load.fresh(batch) is batch


def test_a_model_that_computes_forces_runs_with_gradients() -> None:
    def forces(x: torch.Tensor) -> torch.Tensor:
        x = x.requires_grad_(True)
        return torch.autograd.grad((x**2).sum(), x)[0]

    load = inference(forces, [4])
    load.try_out()
    assert load.notes == ("the model computes gradients when it runs, so they were enabled",)
    assert load.run(2) == 8


def test_nested_inputs_are_mapped_and_compared() -> None:
    batch = Batch(([torch.ones(2), {"a": torch.zeros(1)}],), {"b": (torch.ones(3), 7)}, 1)
    assert [tensor.numel() for tensor in batch.tensors] == [2, 1, 3]
    copied = batch.copy()
    assert copied.same(batch)
    copied.tensors[1].add_(1)
    assert not copied.same(batch)
    assert batch.bytes == 24


def test_a_compiled_model_is_not_helped_by_earlier_compilations() -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    folders = []
    for _ in range(2):
        with inference(torch.nn.Linear(2, 2), [2]).compiling():
            folders.append(cache_dir())
    assert len({*folders, cache_dir()}) == 3
