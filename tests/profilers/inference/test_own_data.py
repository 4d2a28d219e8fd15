"""Batches, labels and scores of the user's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from profilers.errors import DataError
from profilers.inference.looking import look_closely
from profilers.inference.metrics import OwnMetric
from profilers.inference.own_data import OwnData, is_own, own_data
from profilers.inference.running import TorchInference
from profilers.models.inputs import normalisation


def pairs() -> Any:
    return [(torch.eye(4), torch.tensor([0, 1, 2, 0])), (torch.eye(4)[:2], torch.tensor([0, 3]))]


def as_dicts() -> Any:
    return ({"ids": x, "labels": y} for x, y in pairs())


def arrays() -> Any:
    return [([x.numpy(), {"mask": x.numpy()}], y.numpy()) for x, y in pairs()]


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> Any:
        return torch.eye(6)[row], row % 2


def nothing() -> Any:
    return []


def a_number() -> Any:
    return 7


def triples() -> Any:
    return [(1, 2, 3)]


def broken() -> Any:
    raise RuntimeError("no disk\nin line two")


def share_of_zeros(outputs: Any, labels: Any) -> Any:
    return (labels == 0).float().mean()


def worse(outputs: Any, labels: Any) -> float:
    return float("nan")


def data(name: str, **more: Any) -> OwnData:
    return own_data(f"{__name__}:{name}", **({"batch_size": 4, "limit": None} | more))


def looked(name: str, metric: str | None = None, module: Any = lambda *args, **kwargs: args[0]) -> Any:
    found = data(name)
    inference = TorchInference(module, list(found.batches), device=torch.device("cpu"), mode="paper")
    chosen = OwnMetric(f"{__name__}:{metric}", "smaller") if metric else None
    return look_closely(inference, found, latency_s=0.0, metric=chosen)


def test_code_is_told_from_files_and_names() -> None:
    assert is_own("data.py:batches")
    assert is_own("package.data:batches")
    assert not is_own("cifar10")
    assert not is_own("C:/images")


@pytest.mark.parametrize(("name", "positional", "named"), [("pairs", 1, 0), ("as_dicts", 0, 1), ("arrays", 2, 0)])
def test_batches_become_the_arguments_of_calls(name: str, positional: int, named: int) -> None:
    found = data(name)
    assert [(len(batch.args), len(batch.kwargs), batch.images) for batch in found.batches] == [
        (positional, named, 4), (positional, named, 2),
    ]  # fmt: skip
    assert all(isinstance(tensor, torch.Tensor) for batch in found.batches for tensor in batch.tensors)


def test_a_torch_data_set_is_batched_and_limits_are_kept() -> None:
    assert [batch.images for batch in data("Rows").batches] == [4, 2]
    assert [batch.images for batch in data("Rows", batch_size=2, limit=3).batches] == [2, 2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "gave no batch"),
        ("a_number", "gave a int"),
        ("triples", "gave a tuple, not"),
        ("broken", "RuntimeError: no disk$"),
    ],
)
def test_anything_but_a_batch_gives_one_line(name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        data(name)


def test_top_1_and_a_metric_of_ones_own_are_scored_in_one_pass() -> None:
    found = looked("pairs", "share_of_zeros")
    assert found.correct == 4  # the fourth row is class 3, not 0, and the last one class 1, not 3
    assert found.metric_value == pytest.approx(0.5)
    assert (found.metric, found.metric_better) == (f"{__name__}:share_of_zeros", "smaller")


def test_a_metric_that_fails_costs_itself_alone() -> None:
    found = looked("pairs", "worse")
    assert found.metric_value is None
    assert found.reasons["metric"].endswith("worse gave nan")
    assert found.correct == 4


def test_labels_that_are_not_classes_give_no_accuracy() -> None:
    found = looked("as_dicts", module=lambda ids: ids)
    assert found.correct == 4

    continuous = OwnData("x", data("pairs").batches, tuple(y.float() for _, y in pairs()))
    inference = TorchInference(lambda x: x, list(continuous.batches), device=torch.device("cpu"), mode="paper")
    reason = look_closely(inference, continuous, latency_s=0.0).reasons["accuracy"]
    assert reason == "the labels are not one class for each input; --metric scores others"


def test_arrays_of_numpy_are_a_data_set(tmp_path: Path) -> None:
    from profilers.datasets import load_dataset

    path = tmp_path / "small.npz"
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.savez(path, x_test=pixels, y_test=np.array([[0], [1]]), x_train=pixels, y_train=np.array([1, 0]))
    found = load_dataset(str(path))
    assert found.images.shape == (2, 3, 4, 4)
    assert found.labels.tolist() == [0, 1]
    assert found.images[1, 2, 0, 1] == pixels[1, 0, 1, 2]
    np.savez(path, x=pixels.astype(float), y=np.array([0, 1]))
    with pytest.raises(DataError, match="images are float64 of shape"):
        load_dataset(str(path))
    np.savez(path, a=pixels)
    with pytest.raises(DataError, match="holds a; name the arrays images and labels"):
        load_dataset(str(path))


def test_images_of_several_sizes_are_resized_and_cropped(tmp_path: Path) -> None:
    from PIL import Image

    from profilers.datasets import Fit, load_dataset

    for label, (size, kind) in enumerate([((20, 10), "bmp"), ((8, 30), "tif"), ((12, 12), "ppm"), ((9, 14), "webp")]):
        for copy in range(2):
            folder = tmp_path / f"{label}"
            folder.mkdir(exist_ok=True)
            Image.new("RGB", size, (10 * label, 0, 255)).save(folder / f"{copy}.{kind}")
    with pytest.raises(DataError, match="give --resize and --crop"):
        load_dataset(str(tmp_path))
    assert load_dataset(str(tmp_path), fitting=Fit.of("8", "6")).images.shape == (4, 3, 6, 6)
    assert load_dataset(str(tmp_path), fitting=Fit.of("7x5", None)).images.shape == (4, 3, 7, 5)
    for wrong in ("0", "8x", "a", "8x8x8", "-1"):
        with pytest.raises(ValueError, match="is not a size such as 256"):
            Fit.of(wrong, None)


def test_numbers_normalise_as_they_are_given() -> None:
    from profilers.datasets import LabelledImages

    images = LabelledImages(np.zeros((1, 3, 2, 2), np.uint8), np.zeros(1, np.int64), ("a", "b"), "x", None, None)
    mean, std = normalisation(images, "0.5,0.25")
    assert (mean.tolist(), std.tolist()) == ([0.5] * 3, [0.25] * 3)
    mean, std = normalisation(images, "0.1,0.2,0.3,1,2,4")
    assert std.tolist() == [1, 2, 4]
    for wrong in ("0.5", "a,b", "0.5,0", "1,2,3"):
        with pytest.raises(ValueError, match="normalise"):
            normalisation(images, wrong)
