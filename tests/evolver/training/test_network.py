"""Networks of genomes: what is in them, how they start, and how one is taken out of an archive."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch import nn

from evolver.architectures.genome import Activation, Dropout, Genome, Inception, InnerProduct
from evolver.architectures.normal_form.canonical import canonical
from evolver.architectures.shapes import describe
from evolver.architectures.space import Space
from evolver.errors import EvolverError
from evolver.training.candidate import candidate_network, drawn_network
from evolver.training.network import _GAINS, InceptionLayer, build
from tests.evolver.conftest import DIGITS, average_pool, convolution, genome_of, max_pool

GENOME = genome_of(
    convolution(8, (3, 5), (1, 2)),
    Activation("leaky relu"),
    Inception(4, 5, 6, 7, 8, 9),
    average_pool((2, 1), (1, 1)),
    max_pool((2, 2), (2, 2)),
    Dropout(0.3),
    InnerProduct(16),
    Activation("tanh"),
)


def test_modules_are_the_layers_in_order() -> None:
    network = build(GENOME, DIGITS)
    kinds = [
        nn.Conv2d,
        nn.LeakyReLU,
        InceptionLayer,
        nn.AvgPool2d,
        nn.MaxPool2d,
        nn.Dropout,
        nn.Flatten,
        nn.Linear,
        nn.Tanh,
        nn.Linear,
    ]
    assert [type(module) for module in network] == kinds
    assert (network[0].kernel_size, network[0].stride, network[0].padding) == ((3, 5), (1, 2), (1, 2))
    assert (network[3].kernel_size, network[3].stride) == ((2, 1), (1, 1))
    assert network[5].p == 0.3
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_inception_is_its_four_branches_worked_one_by_one() -> None:
    layer = InceptionLayer(Inception(2, 3, 4, 5, 6, 7), 3)
    images = torch.randn(2, 3, 5, 4)
    outputs = layer(images)
    assert outputs.shape == (2, 2 + 4 + 6 + 7, 5, 4)
    conv = nn.functional.conv2d
    middle = conv(images, layer.reduce_3x3.weight, layer.reduce_3x3.bias).relu()
    torch.testing.assert_close(outputs[:, 2:6], conv(middle, layer.branch_3x3.weight, layer.branch_3x3.bias, padding=1).relu())
    pooled = nn.functional.max_pool2d(images, 3, stride=1, padding=1)
    torch.testing.assert_close(outputs[:, 12:], conv(pooled, layer.branch_pool.weight, layer.branch_pool.bias).relu())


def test_gains_keep_the_scale_of_normal_numbers() -> None:
    torch.manual_seed(0)
    values = torch.randn(1_000_000)
    for module, gain in _GAINS.items():
        assert gain * module()(values).square().mean().sqrt() == pytest.approx(1, abs=0.005), module
    deep = genome_of(
        *(layer for _ in range(7) for layer in (InnerProduct(300), Activation("relu"), InnerProduct(300), Activation("tanh")))
    )
    outputs = build(deep, DIGITS)[:-1](torch.randn(500, 1, 8, 8))
    assert 0.3 < outputs.square().mean() * _GAINS[nn.Tanh] ** 2 < 3


def test_a_seed_gives_one_network_that_starts_near_equal_probabilities(genomes: Callable[..., list[Genome]]) -> None:
    images = torch.randn(20, *DIGITS.input_shape)
    for genome in genomes(DIGITS, 8, seed=3):
        states = []
        for _ in range(2):
            torch.manual_seed(9)
            states.append(build(genome, DIGITS).state_dict())
        assert all(torch.equal(one, other) for one, other in zip(states[0].values(), states[1].values(), strict=True))
        network = build(genome, DIGITS).eval()
        shares = network(images).softmax(dim=1)
        assert 0.05 < shares.min() <= shares.max() < 0.2, genome.to_json()
        assert all(weights.isfinite().all() for weights in network.parameters())


def archive(path: Path, *, genome: str | None = None, settings: str | None = None) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE archive (candidate_id TEXT, genome TEXT)")
        database.execute("CREATE TABLE run (settings TEXT)")
        database.execute("INSERT INTO archive VALUES ('7', ?)", (genome or GENOME.to_json(),))
        database.execute("INSERT INTO run VALUES (?)", (settings or json.dumps({"space": DIGITS.to_dict()}),))
    return path


def test_a_candidate_of_an_archive_comes_in_normal_form(tmp_path: Path) -> None:
    doubled = genome_of(convolution(8), Activation("relu"), Activation("relu"), Dropout(0.0))
    network, shape = candidate_network(archive(tmp_path / "run #1%.db", genome=doubled.to_json()), "7")
    assert shape == (1, 8, 8)
    assert [type(module) for module in network] == [nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear]
    form = describe(canonical(doubled, DIGITS), DIGITS)
    assert sum(weights.numel() for weights in network.parameters()) == form.parameters


def test_a_candidate_as_it_was_drawn_has_its_idle_slots_and_names_them(tmp_path: Path) -> None:
    doubled = genome_of(convolution(8), Activation("relu"), Activation("relu"), Dropout(0.0))
    network, idle = drawn_network(archive(tmp_path / "run.db", genome=doubled.to_json()), "7")
    assert network is not None
    assert [type(module) for module in network] == [nn.Conv2d, nn.ReLU, nn.ReLU, nn.Dropout, nn.Flatten, nn.Linear]
    assert idle == ("feature slot 2 (activation)", "feature slot 4 (dropout)")
    plain = genome_of(convolution(8), Activation("relu"))
    assert drawn_network(archive(tmp_path / "plain.db", genome=plain.to_json()), "7") == (None, ())


def test_another_file_or_an_unknown_candidate_is_reported_in_one_line(tmp_path: Path) -> None:
    good = archive(tmp_path / "good.db")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE studies (id)")
    text = tmp_path / "text.db"
    text.write_text("not a database, and long enough to be looked at as one" * 50)
    huge = Genome.from_json(GENOME.to_json().replace('"kernel_h":3', '"kernel_h":999'))
    cases = [
        (tmp_path / "missing.db", "7", "missing.db: no such archive"),
        (good, "8", "good.db: has no candidate 8"),
        (good, "7' OR '1'='1", "has no candidate"),
        (other, "7", "other.db: not an archive of `ecosel evolve`"),
        (text, "7", "text.db: not an archive"),
        (archive(tmp_path / "bad.db", genome="{}"), "7", "bad.db: candidate 7 cannot be built (genome cannot be read"),
        (archive(tmp_path / "huge.db", genome=huge.to_json().replace("half", "none")), "7", "does not fit into 8x8"),
        (archive(tmp_path / "old.db", settings="{}"), "7", "old.db: candidate 7 cannot be built"),
        (archive(tmp_path / "new.db", settings='{"space": {"colour": 1}}'), "7", "new.db: candidate 7 cannot be built"),
    ]
    for path, candidate, reason in cases:
        with pytest.raises(EvolverError) as refused:
            candidate_network(path, candidate)
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "missing.db").exists()


def test_no_tensor_is_needed_to_know_a_network() -> None:
    """A network of 10**11 parameters is described; nothing of that size is allocated."""
    wide = Genome.from_json(genome_of(InnerProduct(1000), InnerProduct(1000)).to_json().replace("1000", "300000"))
    assert describe(wide, Space((1, 8, 8), 10)).parameters == 65 * 300_000 + 300_001 * 300_000 + 300_001 * 10
