"""Inputs are parsed, made from a seed, and normalised by the numbers that were asked for."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import profilers.models.inputs
from profilers.datasets import LabelledImages
from profilers.models.inputs import Input, image_batch, make_batch, parse_inputs

torch = pytest.importorskip("torch")


def test_the_example_in_the_docstring_holds() -> None:
    results = doctest.testmod(profilers.models.inputs)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize(
    ("texts", "values", "parsed"),
    [
        (["3x32x32"], [], [Input(None, (3, 32, 32))]),
        (["512", "sr=1:int64"], [], [Input(None, (512,)), Input("sr", (1,), "int64")]),
        (["ids=128:int64"], [], [Input("ids", (128,), "int64")]),
        (["mask=4x4:bool", "16:float16"], [], [Input(None, (16,), "float16"), Input("mask", (4, 4), "bool")]),
        (["step=:int64"], [], [Input("step", (), "int64")]),
        ([], ["sr=16000"], [Input("sr", None, "int", 16000)]),
        ([], ["scale=0.5", "causal=true"], [Input("scale", None, "float", 0.5), Input("causal", None, "bool", True)]),
        ([], ["past=null", "mode=fast=1"], [Input("past", None, "NoneType", None), Input("mode", None, "str", "fast=1")]),
    ],
)
def test_inputs_are_parsed(texts: list[str], values: list[str], parsed: list[Input]) -> None:
    assert parse_inputs(texts, values) == tuple(parsed)


@pytest.mark.parametrize(
    ("texts", "values", "said"),
    [
        (["3,32,32"], [], "a shape is written 3x32x32"),
        (["-1x3"], [], "a shape is written 3x32x32"),
        (["3x0"], [], "a size of 0"),
        (["3x4:float8"], [], "dtype 'float8' is not one of float32"),
        (["my ids=4"], [], "'my ids' is not the name of an argument"),
        (["=4"], [], "'' is not the name of an argument"),
        (["ids=4", "ids=8"], [], "input 'ids' is given 2 times"),
        (["sr=4"], ["sr=1"], "input 'sr' is given 2 times"),
        ([], ["16000"], "a constant is written name=value"),
        ([], ["sr="], "a constant is written name=value"),
        ([], ["sizes=[1,2]"], "a constant is a number"),
    ],
)
def test_a_wrong_input_is_refused(texts: list[str], values: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=r"^(input|value)") as refused:
        parse_inputs(texts, values)
    assert said in str(refused.value)


def test_a_batch_has_the_shapes_types_and_names_that_were_asked_for() -> None:
    args, kwargs = make_batch(parse_inputs(["3x8x8", "ids=5:int64", "mask=5:bool", "half=2:bfloat16"], ["sr=16000"]), 7, 1)
    (image,) = args
    assert (image.shape, image.dtype) == ((7, 3, 8, 8), torch.float32)  # type: ignore[attr-defined]
    made = {name: (tuple(value.shape), value.dtype) for name, value in kwargs.items() if isinstance(value, torch.Tensor)}
    assert made == {"ids": ((7, 5), torch.int64), "mask": ((7, 5), torch.bool), "half": ((7, 2), torch.bfloat16)}
    assert kwargs["sr"] == 16000


def test_floats_are_standard_normal_and_integers_valid_indices_of_two() -> None:
    (floats, integers), _ = make_batch(parse_inputs(["10000", "10000:int64"]), 4, 3)
    assert abs(float(floats.mean())) < 0.02  # type: ignore[attr-defined]  # 4 standard errors of 40,000 draws
    assert abs(float(floats.std()) - 1) < 0.02  # type: ignore[attr-defined]
    assert set(integers.unique().tolist()) == {0, 1}  # type: ignore[attr-defined]


def test_the_seed_alone_decides_a_batch() -> None:
    inputs = parse_inputs(["16", "4:int64"])
    torch.manual_seed(1)
    first, _ = make_batch(inputs, 2, 5)
    torch.manual_seed(2)
    again, _ = make_batch(inputs, 2, 5)
    other, _ = make_batch(inputs, 2, 6)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch 0"):
        make_batch((Input(None, (3,)),), 0, 0)


def labelled(
    images: np.ndarray, mean: tuple[float, ...] | None = (0.5,), std: tuple[float, ...] | None = (0.25,)
) -> LabelledImages:
    return LabelledImages(images.astype(np.uint8), np.zeros(len(images), np.int64), ("a", "b"), "toy", mean, std)


GREY = np.array([0, 51, 255, 102]).reshape(2, 1, 1, 2)  # 0, 0.2, 1 and 0.4


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [
        ("dataset", [-2, -1.2, 2, -0.4]),
        ("none", [0, 0.2, 1, 0.4]),
        (([0.2], [0.1]), [-2, 0, 8, 2]),
    ],
)
def test_images_are_normalised_by_hand_worked_numbers(normalise: str, expected: list[float]) -> None:
    batch = image_batch(labelled(GREY), normalise=normalise)
    assert batch.shape == (2, 1, 1, 2)
    assert batch.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_imagenet_numbers_are_those_of_torchvision() -> None:
    from torchvision.models import ResNet18_Weights

    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    images = np.arange(48).reshape(1, 3, 4, 4)
    theirs = (torch.from_numpy(images) / 255 - torch.tensor(transform.mean).view(-1, 1, 1)) / torch.tensor(transform.std).view(
        -1, 1, 1
    )
    assert torch.allclose(image_batch(labelled(images), normalise="imagenet"), theirs.float(), atol=1e-6)


def test_a_part_of_the_images_is_made_alone_and_the_pixels_stay_as_they_were() -> None:
    data = labelled(GREY)
    assert image_batch(data, slice(1, 2), normalise="none").flatten().tolist() == pytest.approx([1, 0.4])
    assert image_batch(data, np.array([1, 0]), normalise="none").flatten().tolist() == pytest.approx([1, 0.4, 0, 0.2])
    assert data.images.flatten().tolist() == [0, 51, 255, 102]


@pytest.mark.parametrize(
    ("data", "normalise", "said"),
    [
        (labelled(GREY, None, None), "dataset", "toy has no training images"),
        (labelled(GREY), "imagenet", "3 means and 3 deviations for images of 1 channels"),
        (labelled(GREY), "cifar", "choose dataset, imagenet, none"),
        (labelled(GREY), ([0.1, 0.2], [1.0]), "2 means"),
        (labelled(GREY), ([0.1], [0.0]), "above 0"),
        (labelled(GREY), ([float("nan")], [1.0]), "finite"),
    ],
)
def test_a_wrong_normalisation_is_refused(data: LabelledImages, normalise: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        image_batch(data, normalise=normalise)
