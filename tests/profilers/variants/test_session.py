"""Parent and variants in one session: what is measured, kept, and said of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from profilers.errors import ProfilerError  # noqa: E402
from profilers.variants import checking, names, session  # noqa: E402
from tests.profilers.variants.networks import seeded  # noqa: E402  needs torch

FACTORY = "tests.profilers.variants.networks:sequential"
COMMON = (
    "--factory",
    FACTORY,
    "--dataset",
    "digits",
    "--limit",
    "60",
    "--quick",
    "--max-seconds",
    "0.3",
    "--meter",
    "constant:50",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.pt"
    torch.save(seeded().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def rows(hasty: None, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the rows of one call with a variant that cannot be made."""
    from click.testing import CliRunner

    from profilers.cli.compress import compress

    folder = tmp_path_factory.mktemp("out")
    variants = ("--variants", "fold,prune-50,lowrank-90,int8", "--finetune", "1")
    options = (*variants, "-o", folder / "files", "--archive", folder / "runs.db", "--format", "json")
    done = CliRunner().invoke(compress, [str(part) for part in (weights, *COMMON, *options)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert sorted(path.name for path in (folder / "files").iterdir()) == [
        "small-fold.pt2", "small-int8.onnx", "small-prune-50.pt2",
    ]  # fmt: skip
    return found


def test_the_parent_and_each_variant_are_a_row(rows: list[dict[str, Any]]) -> None:
    named = [(row["candidate_id"], row["variant"], row["parent"], row["status"]) for row in rows]
    assert named == [
        ("small", None, None, "ok"),
        ("small-fold", "fold", "small", "ok"),
        ("small-prune-50", "prune-50", "small", "ok"),
        ("small-int8", "int8", "small", "ok"),
        ("small-lowrank-90", "lowrank-90", "small", "invalid"),
    ]


def test_a_row_says_how_the_variant_ran_and_how_near_its_parent_it_is(rows: list[dict[str, Any]]) -> None:
    parent, fold, prune, int8, _ = rows
    assert [row["precision_executed"] for row in (parent, fold, prune, int8)] == ["fp32", "fp32", "fp32", "int8"]
    assert [row["runtime"] for row in (parent, fold, int8)] == ["torch", "torch", "onnxruntime"]
    assert all(row["threads"] >= 1 for row in (parent, fold, int8))
    assert int8["quantised_layers"] == "4 of 4"
    assert (fold["agreement"], fold["quantised_layers"]) == (1.0, None)
    assert fold["max_logit_difference"] < 1e-3 < int8["max_logit_difference"]
    assert int8["parameters"] == fold["parameters"] < parent["parameters"]
    assert int8["file_bytes"] < parent["file_bytes"]
    assert prune["parameters"] < parent["parameters"] / 2


def test_ratios_are_to_the_parent_and_carry_their_intervals(rows: list[dict[str, Any]]) -> None:
    parent, fold, prune, int8, failed = rows
    assert parent["time_ratio"] is None
    for row in (fold, prune, int8):
        assert row["time_ratio_low"] <= row["time_ratio"] <= row["time_ratio_high"]
        # a declared power makes the energy proportional to the time
        assert row["energy_ratio"] == pytest.approx(row["time_ratio"], rel=0.2)
    assert failed["time_ratio"] is None


def test_fine_tuning_is_counted_and_its_joules_are_weighed_against_what_is_saved(rows: list[dict[str, Any]]) -> None:
    parent, fold, prune, *_ = rows
    assert (fold["finetune_epochs"], fold["finetune_energy_j"]) == (None, None)
    assert prune["finetune_epochs"] == 1
    assert prune["finetune_energy_j"] == pytest.approx(50 * prune["finetune_time_s"], rel=0.05)
    saved = parent["energy_per_inference_j"] - prune["energy_per_inference_j"]
    if saved > 0:
        assert prune["break_even_images"] == pytest.approx(prune["finetune_energy_j"] / saved)
        assert "pays off after" in prune["remarks"]
    else:
        assert "never pays off" in prune["remarks"]


def test_what_failed_is_a_row_with_its_reason(rows: list[dict[str, Any]]) -> None:
    assert "no layer has 64 inputs and outputs" in rows[-1]["remarks"]
    assert rows[-1]["accuracy"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--variants", "squash"), "there is no variant 'squash'"),
        (("--dataset", "nowhere"), "nowhere"),
        (("--factory-args", "{"), "--factory-args is not JSON"),
    ],
)
def test_bad_input_gives_one_line_and_writes_nothing(
    weights: Path, tmp_path: Path, ecosel: Callable[..., Any], arguments: tuple[str, ...], words: str
) -> None:
    options = [*COMMON, "-o", tmp_path / "out", *arguments]
    for name in arguments[::2]:
        if name in COMMON:
            at = options.index(name)
            del options[at : at + 2]
    found = ecosel("compress", weights, *options)
    assert found.status in (1, 2)
    assert found.err.count("\n") == 1
    assert words in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(weights: Path, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "small-fold.pt2").write_text("mine")
    found = ecosel("compress", weights, *COMMON, "--variants", "fold", "-o", tmp_path)
    assert found.status == 1
    assert "small-fold.pt2 exists" in found.err
    assert (tmp_path / "small-fold.pt2").read_text() == "mine"


def test_a_missing_package_is_named_before_anything_is_written(
    weights: Path, tmp_path: Path, ecosel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "is_installed", lambda module: module != "onnxruntime")
    found = ecosel("compress", weights, *COMMON, "--variants", "fold,onnx", "-o", tmp_path / "out")
    assert (found.status, found.out) == (1, "")
    assert "variant onnx needs onnxruntime: pip install 'ecosel[compress]'" in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_variant_that_cannot_be_measured_leaves_no_file(
    weights: Path, tmp_path: Path, ecosel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_here(checker: checking.Checker, path: Path) -> checking.Checked:
        folder, batch, threads = checker._how
        return checking._checked(path, np.load(Path(folder, "images.npy")), batch, threads)

    def refuse(*arguments: Any) -> None:
        raise ProfilerError("it cannot be opened twice")

    monkeypatch.setattr(session, "_opened", refuse)
    monkeypatch.setattr(checking.Checker, "check", check_here)
    found = ecosel("compress", weights, *COMMON, "--variants", "fold", "-o", tmp_path / "out")
    assert found.status == 1
    assert "fold failed: it cannot be opened twice" in found.out
    assert found.err.endswith("ecosel: no variant could be made (fold: it cannot be opened twice)\n")
    assert list((tmp_path / "out").iterdir()) == []
