"""A file is opened in a separate process, and trusted only if its scores hold alone and in a batch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from profilers.errors import ModelError, ProfilerError  # noqa: E402
from profilers.variants import checking  # noqa: E402
from profilers.variants.checking import Checker, compare_scores, tolerance  # noqa: E402
from tests.conftest import files_up_to  # noqa: E402
from tests.profilers.variants.networks import seeded  # noqa: E402  needs torch

IMAGES = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def _saved(network: nn.Module, path: Path) -> Path:
    with path.open("wb") as file:
        batch = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(network, (IMAGES[:2],), dynamic_shapes=(batch,)), file)
    return path


def test_one_process_apart_gives_the_scores_and_the_precision_of_files_until_one_is_damaged(tmp_path: Path) -> None:
    network, damaged = seeded(), tmp_path / "b.pt2"
    damaged.write_bytes(b"PK\x03\x04 and no more")
    with torch.no_grad():
        expected = network(IMAGES).numpy()
    whole = _saved(network, tmp_path / "a.pt2")
    with Checker(IMAGES.numpy(), batch=3, threads=1) as checker:
        pids = []
        for _ in range(2):
            found = checker.check(whole)
            assert np.abs(found.scores - expected).max() <= tolerance(expected)
            assert found.execution.precision == "fp32"
            assert checker._child._child is not None
            pids.append(checker._child._child.pid)
        with pytest.raises(ModelError) as error:
            checker.check(damaged)
        assert checker._child._child is None
    assert pids[0] == pids[1] != os.getpid()
    assert "\n" not in str(error.value)


class _OfTheBatch(nn.Module):  # type: ignore[misc]
    """Gives an image scores that hang on the others in its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(images.flatten(1))
        return scores - scores.mean(0)


def test_a_full_folder_for_temporary_files_is_named() -> None:
    with files_up_to(1000), pytest.raises(ProfilerError, match=r"cannot write to /.*; free some space, or .* by TMPDIR"):
        Checker(IMAGES.numpy(), batch=4, threads=1)


def test_scores_that_hang_on_the_batch_are_refused(tmp_path: Path) -> None:
    path = _saved(_OfTheBatch().eval(), tmp_path / "a.pt2")
    with pytest.raises(ModelError, match="different scores alone and in a batch"):
        checking._checked(path, IMAGES.numpy(), 7, torch.get_num_threads())


def test_scores_are_compared_by_difference_and_by_class() -> None:
    parent = np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 4.0], [5.0, 0.0]], np.float32)
    found = compare_scores(parent + np.array([[0, 0], [0, 2.5], [0, 0], [0, 0]], np.float32), parent)
    assert (found.max_logit_difference, found.agreement) == (2.5, 0.75)
    assert tolerance(parent) == pytest.approx(5e-4)
    assert tolerance((parent / 100).astype(np.float32)) == pytest.approx(1e-4)


def test_a_score_that_is_not_a_number_agrees_with_nothing() -> None:
    parent = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)
    found = compare_scores(np.array([[1.0, np.nan], [3.0, 1.0]], np.float32), parent)
    assert (found.max_logit_difference, found.agreement) == (np.inf, 0.5)


def test_scores_of_another_shape_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"scores of shape \(3,\)"):
        compare_scores(np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32))
