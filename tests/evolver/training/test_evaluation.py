"""One job for one candidate, on real images: what a worker answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from torchvision.io import write_png

from evolver.architectures.genome import Activation, Dropout, Genome, InnerProduct, Training
from evolver.architectures.normal_form.canonical import canonical, drawing
from evolver.architectures.shapes import describe, repair
from evolver.errors import EvolverError
from evolver.jobs import Job, Outcome, Settings
from evolver.training import evaluation
from evolver.training.evaluation import Evaluator, evaluate, prepare, split_rows, survey
from profilers.energy.intervals import share
from profilers.errors import DataError
from profilers.inference.batches import Batch
from profilers.measuring.settings import Plan
from tests.conftest import SHARED
from tests.evolver.conftest import convolution, genome_of, max_pool

SETTINGS = Settings(dataset="digits", max_epochs=4)
RECIPE = Training("sgd", 0.1, 1e-4, 16, 3)
SMALL = genome_of(
    convolution(16), Activation("relu"), max_pool((2, 2), (2, 2)), InnerProduct(32), Activation("relu"), training=RECIPE
)
SHORT = Plan(ci=0.5, min_s=0.3, max_s=2.0, warm_up_s=0.3, flat_s=0.1, idle_s=0.1, group_s=0.05)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def job(genome: Genome | str, *, settings: Settings = SETTINGS, task: str = "train", **more: object) -> Job:
    text = genome if isinstance(genome, str) else genome.to_json()
    return Job(task, 1, text, 5, settings.to_json(), **more)  # type: ignore[arg-type]


def test_a_trained_candidate_has_every_column(one_thread: None) -> None:
    outcome = evaluate(job(SMALL, rungs=((1, 0.2), (2, 0.0))))
    assert (outcome.status, outcome.reason, outcome.epochs) == ("ok", None, 3)
    assert outcome.accuracy is not None
    assert outcome.accuracy_low is not None
    assert outcome.accuracy_high is not None
    assert outcome.accuracy > 0.85
    assert outcome.accuracy_low < outcome.accuracy < outcome.accuracy_high
    images = survey(SETTINGS.to_json()).images["validation"]
    assert outcome.accuracy * images == pytest.approx(round(outcome.accuracy * images))
    space = Evaluator(SETTINGS).space
    description = describe(SMALL, space)
    assert (outcome.parameters, outcome.flops) == (description.parameters, description.flops)
    assert json.loads(outcome.topology or "") == drawing(describe(canonical(SMALL, space), space))
    assert [epoch for epoch, _ in outcome.curve] == [1, 2]
    assert outcome.train_time_s is not None
    # what was not measured is missing, not 0
    assert (outcome.inference_time_s, outcome.energy_per_inference_j) == (None, None)
    assert evaluate(job(SMALL, rungs=((1, 0.2), (2, 0.0)))).accuracy == outcome.accuracy


def test_what_computes_the_same_trains_the_same() -> None:
    doubled = genome_of(
        convolution(16), Activation("relu"), Activation("relu"), max_pool((1, 1), (1, 1)), max_pool((2, 2), (2, 2)), Dropout(0.0),
        InnerProduct(32), Activation("relu"), training=RECIPE,
    )  # fmt: skip
    assert replace(evaluate(job(doubled)), train_time_s=None) == replace(evaluate(job(SMALL)), train_time_s=None)


def test_each_way_to_fail_is_an_outcome_of_its_own() -> None:
    hot = replace(SMALL, training=replace(RECIPE, learning_rate=1e30))
    saturated = genome_of(*(layer for _ in range(8) for layer in (InnerProduct(16), Activation("sigmoid"))), training=RECIPE)
    endless = genome_of(convolution(10**6), InnerProduct(10**6), training=RECIPE)  # 256 TB of weights: no address space has them
    cases = {
        "nan": job(hot),
        "collapsed": job(saturated),
        "stopped": job(SMALL, rungs=((1, 0.999),)),
        "oom": job(endless),
        "invalid": job(genome_of(max_pool((9, 9), (1, 1)))),
    }
    outcomes = {status: evaluate(case) for status, case in cases.items()}
    assert {status: outcome.status for status, outcome in outcomes.items()} == {status: status for status in cases}
    for outcome in outcomes.values():
        assert outcome.reason
        assert "\n" not in outcome.reason
        assert outcome.accuracy is None
    assert outcomes["invalid"].reason == "a pooling window of 9x9 does not fit into 8x8"
    assert outcomes["stopped"].curve
    assert outcomes["oom"].parameters == 10 * 10**6 + (64 * 10**6 + 1) * 10**6 + (10**6 + 1) * 10
    assert (
        evaluate(job("{")).reason
        == "genome is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"
    )
    assert evaluate(job(SMALL)).status == "ok"


def test_a_network_at_chance_level_is_collapsed_by_the_interval_of_its_accuracy() -> None:
    evaluator = Evaluator(SETTINGS)
    total, most = len(evaluator.validation), int(evaluator.validation.labels.bincount().max())
    least = next(hits for hits in range(total) if (share(hits, total).low or 0) > most / total)
    assert least > most
    assert evaluator._at_chance(least) is None
    why = evaluator._at_chance(least - 1)
    assert why is not None
    assert f"is not above the {most / total:.4f} of the top class" in why
    slow = replace(SMALL, training=replace(RECIPE, learning_rate=2e-6, epochs=1))  # a loss just below the entropy, and no more
    outcome = evaluate(job(slow))
    assert (outcome.status, outcome.accuracy) == ("collapsed", None), outcome


def test_both_stops_can_be_switched_off() -> None:
    saturated = genome_of(*(layer for _ in range(8) for layer in (InnerProduct(16), Activation("sigmoid"))), training=RECIPE)
    outcome = evaluate(job(saturated, settings=replace(SETTINGS, collapse_test=False)))
    assert (outcome.status, outcome.epochs) == ("ok", 3)
    assert outcome.accuracy is not None
    assert evaluate(job(SMALL)).curve == ()


def test_a_winner_is_trained_on_all_tested_once_and_saved(tmp_path: Path) -> None:
    outcome = evaluate(job(SMALL, task="final", export=str(tmp_path / "deep" / "winner")))
    assert (outcome.status, outcome.precision) == ("ok", "fp32")
    assert outcome.accuracy is not None
    assert 0.85 < outcome.accuracy < 1
    assert outcome.accuracy * 540 == pytest.approx(round(outcome.accuracy * 540))  # the test split of digits
    assert outcome.notes["saved_logit_difference"] <= 1e-4
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == ["winner.pt", "winner.pt2"]
    program = torch.export.load(tmp_path / "deep" / "winner.pt2").module()
    state = torch.load(tmp_path / "deep" / "winner.pt", weights_only=True)
    assert sum(value.numel() for value in state.values()) == outcome.parameters
    from profilers.datasets import load_dataset

    test = load_dataset("digits", split="test")
    mean, std = (np.array(outcome.notes[name], np.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        logits = program(torch.from_numpy((test.images.astype(np.float32) / 255 - mean) / std))
    assert float((logits.argmax(1).numpy() == test.labels).mean()) == pytest.approx(outcome.accuracy, abs=0.002)
    assert (
        evaluate(job(replace(SMALL, training=replace(RECIPE, learning_rate=1e30)), task="final", export="nowhere/x")).status
        == "nan"
    )
    with pytest.raises(ValueError, match="needs the path to export to"):
        evaluate(job(SMALL, task="final"))


def test_measuring_gives_time_and_energy_with_intervals_and_their_source() -> None:
    metered = replace(SETTINGS, meter="constant:50", batch_size=64)
    evaluator = Evaluator(metered)
    outcome = evaluator.measure(job(SMALL, settings=metered, task="measure"), SMALL, Outcome("ok"), plan=SHORT)
    assert outcome.inference_time_s is not None
    assert outcome.energy_per_inference_j is not None
    assert outcome.energy_per_inference_j_low is not None
    assert outcome.energy_per_inference_j_low <= outcome.energy_per_inference_j
    # 50 W over the time of a pass over the validation images
    images = len(evaluator.validation)
    assert outcome.energy_per_inference_j * images == pytest.approx(50 * outcome.inference_time_s, rel=0.05)
    assert (outcome.energy_source, outcome.batch_size, outcome.precision) == ("constant:50", 64, "fp32")
    assert outcome.device
    assert "energy" not in outcome.notes


def test_images_that_lie_with_channels_innermost_as_on_a_gpu_are_measured_in_the_usual_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Seen(Exception):  # noqa: N818
        pass

    def see(network: object, batches: list[Batch], **how: object) -> None:
        raise Seen(*(batch.tensors[0].is_contiguous() for batch in batches))

    evaluator = Evaluator(SETTINGS)
    images = torch.zeros((200, 3, 8, 8), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    evaluator.validation = replace(evaluator.validation, images=images, labels=torch.zeros(200, dtype=torch.int64))
    assert not evaluator.validation.batch(slice(0, 100))[0].is_contiguous()
    monkeypatch.setattr(evaluation, "measure_batches", see)
    with pytest.raises(Seen) as seen:
        evaluator.measure(job(SMALL, task="measure"), SMALL, Outcome("ok"), plan=SHORT)
    assert seen.value.args == (True, True)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 GiB", "oom"),
        ("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", "oom"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "oom"),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", "oom"),
        ("CUDA error: an illegal memory access was encountered", None),
    ],
)
def test_memory_that_a_library_of_cuda_could_not_get_is_out_of_memory(
    said: str, status: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **how: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(evaluation, "train", fail)
    if status is None:
        with pytest.raises(RuntimeError, match="illegal"):
            evaluate(job(SMALL))
        return
    outcome = evaluate(job(SMALL))
    assert (outcome.status, outcome.reason) == (status, said.splitlines()[0])


def test_an_energy_that_was_not_measured_is_missing_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from profilers.meters import find_meter

    if not hasattr(find_meter(None, "cpu"), "reason"):
        pytest.skip("this machine has a meter")
    outcome = Evaluator(SETTINGS).measure(job(SMALL, task="measure"), SMALL, Outcome("ok"), plan=SHORT)
    assert outcome.inference_time_s is not None
    assert (outcome.energy_per_inference_j, outcome.energy_source) == (None, None)
    assert outcome.notes["energy"]


def test_a_meter_that_is_not_there_is_found_out_before_the_first_birth() -> None:
    assert survey(replace(SETTINGS, meter="constant:50").to_json()).no_energy is None
    with pytest.raises(EvolverError, match=r"--meter: 'candle' is not a meter"):
        survey(replace(SETTINGS, meter="candle").to_json())


def test_a_worker_on_a_gpu_that_torch_does_not_see_does_not_train_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("torch sees a GPU here")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-12")
    with pytest.raises(EvolverError, match=r"finds no CUDA device GPU-12"):
        Evaluator(SETTINGS)


def test_validation_images_are_set_aside_by_class_and_always_the_same() -> None:
    labels = np.repeat(np.arange(10), 5000)
    training, validation = split_rows(labels)
    assert (len(training), len(validation)) == (45_000, 5_000)
    assert np.bincount(labels[validation]).tolist() == [500] * 10
    assert sorted([*training.tolist(), *validation.tolist()]) == list(range(50_000))
    assert (split_rows(labels)[1] == validation).all()
    assert len(split_rows(np.arange(300) % 3)[1]) == 99  # a third of each class of 100
    assert len(split_rows(np.arange(6000) % 2)[1]) == 1000
    assert [len(rows) for rows in split_rows(np.array([0, 1]))] == [2, 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree of real PNG files: train, valid and test, two classes that brightness tells apart."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("valid", 10), ("test", 10)):
        for label, low in (("dark", 0), ("light", 128)):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                image = torch.from_numpy(rng.integers(low, low + 128, (3, 6, 5), dtype=np.uint8))
                write_png(image, str(tmp_path / split / label / f"{number}.png"))
    return tmp_path


def test_a_validation_split_of_the_data_set_is_taken_and_the_test_images_wait_for_the_end(folder: Path) -> None:
    settings = replace(SETTINGS, dataset=str(folder))
    found = survey(settings.to_json())
    assert (found.input_shape, found.classes, found.cuda) == ((3, 6, 5), 2, torch.cuda.is_available())
    assert found.images == {"train": 80, "validation": 20, "test": 20}
    assert set(found.versions) >= {"python", "torch", "numpy"}
    for file in (folder / "test").rglob("*.png"):
        file.write_bytes(b"no longer an image")
    bare = genome_of(training=RECIPE)
    assert evaluate(job(bare, settings=settings)).accuracy == 1.0
    with pytest.raises(DataError):
        evaluate(job(bare, settings=settings, task="final", export=str(folder / "out")))


def test_a_data_set_that_cannot_be_used_is_refused_before_the_first_birth(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        write_png(torch.zeros(1, 4, 4, dtype=torch.uint8), str(tmp_path / label / "0.png"))
    for dataset in (str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(DataError) as refused:
            prepare(replace(SETTINGS, dataset=dataset).to_json())
        assert "\n" not in str(refused.value)


def test_the_space_of_the_settings_is_the_one_that_counts() -> None:
    own = Evaluator(SETTINGS).space
    narrow, other = replace(own, max_flops=own.max_flops // 2), replace(own, classes=12)
    settings = replace(SETTINGS, space=json.loads(json.dumps(narrow.to_dict())))
    assert Evaluator(settings).space == narrow
    with pytest.raises(DataError, match=r"digits: it has images of 1x8x8 in 10 classes; .* began with images of 1x8x8 in 12"):
        Evaluator(replace(settings, space=other.to_dict()))


def test_a_short_training_on_real_cifar_10_beats_guessing_by_far(tmp_path: Path) -> None:
    data = SHARED / "datasets" / "cifar10"
    if not data.exists():
        pytest.skip("CIFAR-10 does not stand beside this checkout")
    for split, count in (("train", 10_000), ("test", 100)):  # the whole takes ten seconds
        some = parquet.read_table(data / f"{split}-00000-of-00001.parquet").slice(0, count)
        parquet.write_table(some, tmp_path / f"{split}-00000-of-00001.parquet")
    settings = replace(SETTINGS, dataset=str(tmp_path), max_epochs=1)
    evaluator = Evaluator(settings)
    assert len(evaluator.training) + len(evaluator.validation) == 10_000
    assert len(evaluator.validation) == pytest.approx(1_000, abs=10)  # as many of each class
    genome = genome_of(
        convolution(16, (3, 3), (2, 2)), Activation("relu"), max_pool((2, 2), (2, 2)), InnerProduct(64), Activation("relu"),
        training=Training("adamw", 0.003, 0.01, 64, 1),
    )  # fmt: skip
    assert repair(genome, evaluator.space).training == genome.training
    outcome = evaluator.train(job(genome, settings=settings), genome, Outcome("ok"))
    assert outcome.accuracy is not None
    assert outcome.accuracy > 0.3
