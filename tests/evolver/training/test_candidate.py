"""A winner is usable: from its archive with the weights that were kept, from saved weights, and by the named factory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from evolver.architectures.genome import Activation, InnerProduct, Training
from evolver.archive import SearchArchive
from evolver.candidates import genomes, weights_of
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Settings
from evolver.run.winners.manifest import write_manifest
from evolver.search.optimizer import Birth
from evolver.training.candidate import candidate_network
from evolver.training.evaluation import Evaluator, evaluate
from profilers.datasets import load_dataset
from profilers.errors import ModelError
from profilers.models.opening import open_model
from profilers.models.weights.filling import Fitting
from tests.evolver.conftest import convolution, genome_of, max_pool

GENOME = genome_of(
    convolution(8), Activation("relu"), max_pool((2, 2), (2, 2)), InnerProduct(32), Activation("relu"),
    training=Training("sgd", 0.1, 1e-4, 16, 1),
).to_json()  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Outcome]:
    """An archive of one candidate with kept weights, saved as a winner; its training and its final outcome."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("run") / "run.db"
    evaluator = Evaluator(Settings("digits", max_epochs=1))
    settings = Settings("digits", max_epochs=1, space=evaluator.space.to_dict()).to_json()
    weights_of(path, 22).parent.mkdir()
    weights, stem = str(weights_of(path, 22)), path.with_name("run-22")
    trained = evaluate(Job("train", 22, GENOME, 5, settings, weights=weights, keep_from=0.5))
    final = evaluate(Job("final", 22, GENOME, 5, settings, export=str(stem)))
    with SearchArchive(path) as archive:
        archive.begin({"space": evaluator.space.to_dict(), "survey": {"input_shape": [1, 8, 8]}}, dataset="digits")
        for number in range(23):
            archive.save_birth(Birth(number, GENOME, f"k{number}", (), 5, 0, {}))
        archive.save_outcome(22, "train", trained)
        archive.save_outcome(22, "final", final)
        archive.save_outcome(7, "train", trained)
        write_manifest(path, 22, final, stem)
    return path, trained, final


def accuracy(module: object, split: str = "test") -> float:
    data = load_dataset("digits", split=split)
    assert data.mean is not None
    assert data.std is not None
    images = (torch.from_numpy(data.images).float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        logits = module(images)  # type: ignore[operator]
    return float((logits.argmax(1).numpy() == data.labels).mean())


def test_a_candidate_near_the_front_comes_with_its_trained_weights(run: tuple[Path, Outcome, Outcome]) -> None:
    path, trained, _ = run
    assert trained.notes == {"weights": "kept"}
    evaluator = Evaluator(Settings("digits", max_epochs=1))
    opened = open_model(f"{path}#22")
    assert opened.notes == ("the weights were trained by the search on its training images",)
    images, labels = evaluator.validation.batch(slice(None))
    with torch.no_grad():
        right = (opened.module(images).argmax(1) == labels).float().mean()  # type: ignore[attr-defined]
    assert float(right) == pytest.approx(trained.accuracy, abs=1e-6)
    fresh = open_model(f"{path}#7")
    assert fresh.notes == ("weights are fresh: its accuracy is meaningless",)
    measured = evaluate(
        Job("measure", 22, GENOME, 5, Settings("digits", max_epochs=1).to_json(), weights=str(weights_of(path, 22)))
    )
    assert measured.notes["weights"] == "trained"


def test_a_winner_is_built_again_with_the_saved_accuracy(run: tuple[Path, Outcome, Outcome]) -> None:
    path, _, final = run
    stem = path.with_name("run-22")
    for opened in (
        open_model(f"{path}#22", fitting=Fitting(weights=f"{stem}.pt")),
        open_model(f"{stem}.pt", factory="evolver:candidate"),
        open_model(f"{stem}.pt", factory="evolver:candidate", factory_args={"manifest": f"{stem}.json"}),
        open_model(f"{stem}.pt2", trust=True),
    ):
        assert accuracy(opened.module) == pytest.approx(final.accuracy, abs=0.002)
    manifest = json.loads(stem.with_suffix(".json").read_text())
    assert manifest["test_accuracy"] == final.accuracy
    assert manifest["genome"] == json.loads(GENOME)
    assert genomes(path.with_name("run-22.genome.json"), 1) == (GENOME,)


def test_weights_and_manifests_that_do_not_fit_are_one_line(run: tuple[Path, Outcome, Outcome], tmp_path: Path) -> None:
    path = run[0]
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "run-weights").mkdir()
    (tmp_path / "run-weights" / "22.pt").write_bytes(b"damaged")
    (tmp_path / "run.db").write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="candidate 22 of") as first:
        open_model(f"{path}#22", fitting=Fitting(weights=str(tmp_path / "other.pt")))
    with pytest.raises(ModelError, match="not a manifest of") as second:
        open_model(str(tmp_path / "other.pt"), factory="evolver:candidate")
    with pytest.raises(ModelError, match=r"no such manifest; .* saves it beside the weights; or --factory-args"):
        open_model(str(weights_of(path, 22)), factory="evolver:candidate")
    with pytest.raises(EvolverError, match="not the weights of this candidate") as third:
        candidate_network(tmp_path / "run.db", "22")
    with pytest.raises(ValueError, match=r"--weights x\.pt is for a candidate, ARCHIVE#CANDIDATE") as fourth:
        open_model(str(tmp_path / "other.pt"), factory="evolver:candidate", fitting=Fitting(weights="x.pt"))
    assert all("\n" not in str(found.value) for found in (first, second, third, fourth))
