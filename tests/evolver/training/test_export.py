"""Saved winners: the same logits after reloading, whole files or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from evolver.architectures.genome import Genome
from evolver.errors import EvolverError
from evolver.training.candidate import UnsavedError, keep_weights, save
from evolver.training.network import build
from profilers.models.opening import open_model
from tests.conftest import files_up_to
from tests.evolver.conftest import DIGITS


def test_saved_networks_give_the_same_logits_as_the_profiler_opens_them(
    tmp_path: Path, genomes: Callable[..., list[Genome]]
) -> None:
    sample = torch.randn(5, *DIGITS.input_shape)
    for number, genome in enumerate(genomes(DIGITS, 3, seed=4)):
        network = build(genome, DIGITS)
        assert save(network, sample, tmp_path / f"n.{number}") <= 1e-4
        opened = open_model(str(tmp_path / f"n.{number}.pt2"), trust=True)
        with torch.no_grad():
            torch.testing.assert_close(opened.module(sample[:3]), network.eval()(sample[:3]), atol=1e-4, rtol=1e-4)
    assert len(list(tmp_path.iterdir())) == 6


class Forgetful(nn.Module):  # type: ignore[misc]
    """Gives other logits once it has been exported: what it adds is a constant then."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(images) + float(torch.compiler.is_exporting())


def test_a_file_that_gives_other_logits_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "winner.pt2").write_text("an earlier one")
    with pytest.raises(EvolverError, match=r"the saved network's logits differ by 1"):
        save(Forgetful(), torch.randn(4, 3), tmp_path / "winner")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("winner.pt2", "an earlier one")]


@pytest.mark.parametrize("size", [100, 10_000])  # the program, or the weights, which are larger
def test_a_full_disk_is_no_fault_of_the_candidate_and_leaves_nothing(size: int, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(60, 60))
    with files_up_to(size), pytest.raises(UnsavedError, match=r"winner: the network cannot be saved \(File too large\)"):
        save(network, torch.randn(4, 60), tmp_path / "winner")
    with files_up_to(size):
        assert keep_weights(network, tmp_path / "1.pt").startswith("not kept: [Errno 27] File too large")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvolverError, match="the network cannot be saved") as refused:
        save(nn.Sequential(nn.Linear(3, 2)), torch.randn(4, 3), tmp_path / "file" / "winner")
    assert "\n" not in str(refused.value)
    assert os.listdir(tmp_path) == ["file"]
