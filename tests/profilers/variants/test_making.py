"""A variant is a file that does what its name says, or a reason; never half of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from profilers.datasets import load_dataset  # noqa: E402
from profilers.energy.sampling.sampler import Stopwatch  # noqa: E402
from profilers.errors import ModelError, ProfilerError  # noqa: E402
from profilers.measuring.device import Device, ReservedDevice  # noqa: E402
from profilers.meters import NoMeter  # noqa: E402
from profilers.models.inputs import image_batch  # noqa: E402
from profilers.variants import checking, making  # noqa: E402
from profilers.variants.execution import Execution  # noqa: E402
from profilers.variants.making import Check, Material, check_pruning, make  # noqa: E402
from profilers.variants.names import Variant, parse_variants  # noqa: E402
from profilers.variants.rewriting.folding import folded  # noqa: E402
from profilers.variants.rewriting.graph import layered  # noqa: E402
from tests.conftest import files_up_to  # noqa: E402
from tests.profilers.variants.networks import Residual, seeded  # noqa: E402  needs torch

NONE = NoMeter("there is none")
DEVICE = ReservedDevice(Device("cpu", "a processor", "cpu"), NONE, Stopwatch(NONE), None)


@pytest.fixture(scope="module")
def material() -> Material:
    network = seeded()
    data = load_dataset("digits", limit=60)
    images = image_batch(data)
    with torch.no_grad():
        scores = network(images).numpy()
    training = load_dataset("digits", split="train", limit=200)
    return Material(layered(network, images[:2]), images.numpy(), scores, data.labels, training, "dataset", 20, 1, 0)


@pytest.fixture
def checked_here(material: Material) -> Check:
    """Verify without another process, which `test_checking` tests."""
    return lambda path: checking._checked(path, material.images, material.batch, torch.get_num_threads())


@pytest.mark.parametrize("name", ["fold", "bf16", "prune-50"])
def test_a_variant_is_one_file_with_its_facts(material: Material, tmp_path: Path, checked_here: Check, name: str) -> None:
    (variant,) = parse_variants(name)
    path = tmp_path / f"a-{name}.pt2"
    made = make(variant, material, path, DEVICE, checked_here, epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert made.path == path
    assert made.accuracy.low is not None
    assert (made.fine_tuning is not None) == (name == "prune-50")
    if name == "fold":
        assert made.agreement.max_logit_difference <= checking.tolerance(material.scores)
        assert made.agreement.agreement == 1
    assert made.checked.execution.precision == ("bf16" if name == "bf16" else "fp32")


def test_fine_tuning_regains_accuracy_that_the_cut_cost(material: Material, tmp_path: Path, checked_here: Check) -> None:
    (variant,) = parse_variants("prune-50")
    raw, tuned = (make(variant, material, tmp_path / f"{n}.pt2", DEVICE, checked_here, epochs=n) for n in (0, 4))
    assert raw.fine_tuning is None
    assert tuned.fine_tuning is not None
    assert tuned.fine_tuning.window.images == 800
    assert tuned.accuracy.value > raw.accuracy.value


def test_an_exact_variant_with_other_scores_leaves_no_file(
    material: Material, tmp_path: Path, checked_here: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: Any, **options: Any) -> Any:
        found, changes = folded(network, **options)
        with torch.no_grad():
            next(found.parameters()).mul_(1.01)
        return found, changes

    monkeypatch.setattr(making, "folded", wrong)
    with pytest.raises(ModelError, match="its scores differ from the parent's by"):
        make(Variant("fold"), material, tmp_path / "a.pt2", DEVICE, checked_here, epochs=0)
    assert list(tmp_path.iterdir()) == []


def test_a_network_with_nothing_to_fold_is_a_failure_and_no_copy(tmp_path: Path, checked_here: Check) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        scores = network(images).numpy()
    plain = Material(layered(network, images[:2]), images.numpy(), scores, np.zeros(4, np.int64), None, "dataset", 2, 1, 0)
    with pytest.raises(ModelError, match="there is nothing to fold"):
        make(Variant("fold"), plain, tmp_path / "a.pt2", DEVICE, checked_here, epochs=0)
    assert list(tmp_path.iterdir()) == []


def test_int8_counts_layers_as_they_run(material: Material, tmp_path: Path, checked_here: Check) -> None:
    pytest.importorskip("onnxscript")
    made = make(Variant("int8"), material, tmp_path / "a.onnx", DEVICE, checked_here, epochs=0)
    assert made.quantised == (4, 4)
    assert made.checked.execution.precision == "int8"
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_int8_that_runs_in_floats_is_a_failure(
    material: Material, tmp_path: Path, checked_here: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(checking, "execution_of_onnx", lambda path: Execution("fp32", 0))
    with pytest.raises(ModelError, match=r"0 of 4 layers run in 8-bit integers \(4 are stored so\)"):
        make(Variant("int8"), material, tmp_path / "a.onnx", DEVICE, checked_here, epochs=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variant", [Variant("fold"), Variant("int8")])
def test_a_disk_that_is_full_leaves_no_file(variant: Variant, material: Material, tmp_path: Path, checked_here: Check) -> None:
    with files_up_to(1000), pytest.raises(ProfilerError, match="File too large"):
        make(variant, material, tmp_path / f"a{variant.suffix}", DEVICE, checked_here, epochs=0)
    assert list(tmp_path.iterdir()) == []


def test_tied_layers_need_torch_pruning_and_say_so_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "is_installed", lambda module: False)
    images = torch.randn(2, 1, 8, 8)
    variants = parse_variants("fold,prune-25")
    check_pruning(layered(seeded(), images), variants)
    with pytest.raises(ProfilerError, match=r"prune-25 needs torch-pruning: pip install 'ecosel\[compress\]'"):
        check_pruning(layered(seeded(Residual), images), variants)
