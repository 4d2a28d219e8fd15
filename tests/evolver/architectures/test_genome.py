"""A genome as JSON: the same text for the same genome, and one clear line for anything that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from evolver.architectures.genome import Activation, Dropout, Genome, InnerProduct, Slot
from evolver.architectures.space import Space
from tests.evolver.conftest import TRAINING, convolution, genome_of


def test_json_and_back_gives_the_same_genome(space: Space, genomes: Callable[..., list[Genome]]) -> None:
    for genome in genomes(space, 200):
        assert Genome.from_json(genome.to_json()) == genome


def test_equal_genomes_have_one_text() -> None:
    genome = genome_of(convolution(8), Activation("relu"), InnerProduct(16))
    # a rate of 0 may come as a whole number from another writer of JSON
    text = genome_of(Dropout(0.0)).to_json()
    assert Genome.from_json(text.replace('"rate":0.0', '"rate":0')).to_json() == text
    assert Genome.from_json(json.dumps(json.loads(genome.to_json()), indent=2)).to_json() == genome.to_json()
    assert "\n" not in genome.to_json()


def test_layers_are_those_that_are_on_in_order() -> None:
    genome = Genome((Slot(False, Dropout(0.1)), Slot(True, Activation("elu"))), (Slot(True, InnerProduct(16)),), TRAINING)
    assert list(genome.layers()) == [Activation("elu"), InnerProduct(16)]


def _with(change: Callable[[Any], None]) -> str:
    record = json.loads(genome_of(convolution(8), Activation("relu"), Dropout(0.5), InnerProduct(16)).to_json())
    change(record)
    return json.dumps(record)


REFUSED: dict[str, str] = {
    "": "genome is not JSON",
    "[" * 100_000: "genome is not JSON",
    "[]": "must be an object with features, classifier and training",
    '{"features": [], "classifier": []}': "must be an object with features, classifier and training",
    _with(lambda genome: genome.update(features={})): "features must be a list",
    _with(lambda genome: genome.update(features=genome["features"] * 1001)): "features must be a list of at most 1,000 slots",
    _with(lambda genome: genome["features"].append(3)): "features[3] must be an object with on: true or false",
    _with(lambda genome: genome["features"][0].update(on=1)): "features[0] must be an object with on: true or false",
    _with(
        lambda genome: genome["features"][0].update(op="__import__")
    ): "features[0] has op '__import__'; it must be one of convolution",
    _with(lambda genome: genome["features"][0].update(op=["convolution"])): "features[0] has op ['convolution']",
    _with(
        lambda genome: genome["classifier"][0].update(op="convolution")
    ): "classifier[0] has op 'convolution'; it must be one of inner product",
    _with(lambda genome: genome["features"][0].pop("channels")): "features[0] must have exactly channels, kernel_h",
    _with(lambda genome: genome["features"][0].update(extra=1)): "features[0] must have exactly channels, kernel_h",
    _with(lambda genome: genome["features"][0].update(channels=True)): "features[0].channels is True; it must be a whole number",
    _with(lambda genome: genome["features"][0].update(channels=0)): "features[0].channels is 0",
    _with(lambda genome: genome["features"][0].update(channels=10**9)): "features[0].channels is 1000000000",
    _with(lambda genome: genome["features"][0].update(stride_h=1.5)): "features[0].stride_h is 1.5",
    _with(
        lambda genome: genome["features"][0].update(padding="same\nline")
    ): "features[0].padding is 'same\\nline'; it must be one of half, none",
    _with(lambda genome: genome["features"][1].update(kind="x" * 10**6)): "features[1].kind is 'xxxxx",
    _with(lambda genome: genome["features"][2].update(rate=1)): "features[2].rate is 1; it must be a number from 0 to below 1",
    _with(lambda genome: genome["features"][2].update(rate=float("nan"))): "features[2].rate is nan",
    _with(lambda genome: genome["training"].update(learning_rate=float("inf"))): "training.learning_rate is inf",
    _with(lambda genome: genome["training"].update(weight_decay=-1e-9)): "training.weight_decay is -1e-09",
    _with(lambda genome: genome["training"].update(optimizer=None)): "training.optimizer is None; it must be one of sgd, adamw",
    _with(lambda genome: genome.update(training=[])): "training must have exactly optimizer",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_anything_but_a_genome_is_refused_in_one_short_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="genome") as refused:
        Genome.from_json(text)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
