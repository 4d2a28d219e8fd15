"""Ranges: every value is reachable, and steps stay inside."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from evolver.architectures.genome import LAYERS
from evolver.architectures.space import LAYER_RANGES, Integer, OneOf, Real, Space, suited

RANGES = [values for genes in LAYER_RANGES.values() for values, _ in genes.values()]


def test_the_table_has_every_gene_of_every_layer_in_order_with_an_origin() -> None:
    assert set(LAYER_RANGES) == set(LAYERS)
    for op, genes in LAYER_RANGES.items():
        assert list(genes) == [field.name for field in fields(LAYERS[op])]
        assert all(origin for _, origin in genes.values())


@pytest.mark.parametrize("values", [Integer(1, 7), Integer(8, 256, log=True), Integer(5, 5), Integer(1, 1)])
def test_every_whole_number_of_a_range_is_drawn(values: Integer) -> None:
    drawn = {values.at(u) for u in np.linspace(0, 1, 20_000, endpoint=False).tolist()}
    assert drawn == set(range(values.low, values.high + 1))


def test_a_step_stays_inside_and_changes_a_whole_number() -> None:
    rng = np.random.default_rng(1)
    for values in (*RANGES, Integer(1, 30), Integer(1, 2), Real(1e-5, 1e-1, log=True)):
        for at, u in rng.random((200, 2)).tolist():
            value: Any = values.at(at)
            other: Any = values.near(value, u)
            assert values.clamp(other) == other, (values, value, u)
            if not isinstance(values, Real):
                assert other != value, (values, value, u)
    assert Integer(3, 3).near(3, 0.7) == 3
    assert OneOf(("a",)).near("a", 0.5) == "a"


def test_doublings_of_a_logarithmic_range_are_equally_likely() -> None:
    drawn = np.array([Real(1e-4, 1e-2, log=True).at(u) for u in np.linspace(0, 1, 1001).tolist()])
    assert np.median(drawn) == pytest.approx(1e-3, rel=0.01)
    assert (drawn.min(), drawn.max()) == (1e-4, 1e-2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input_shape": (3, 0, 32)}, "input_shape"),
        ({"input_shape": (3, 32)}, "input_shape"),
        ({"classes": 1}, "classes is 1"),
        ({"feature_slots": -1}, "feature_slots is -1"),
        ({"max_epochs": 0}, "max_epochs is 0"),
        ({"batch_sizes": ()}, "batch_sizes"),
        ({"batch_sizes": (63,)}, "batch_sizes"),
        ({"max_parameters": 30_729}, "the network without layers has more"),
        ({"max_flops": 61_439}, "the network without layers has more"),
        ({"max_activations": 639}, "max_activations"),
    ],
)
def test_a_space_that_holds_nothing_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Space(**({"input_shape": (3, 32, 32), "classes": 10} | change))  # type: ignore[arg-type]


def test_a_space_survives_json() -> None:
    space = suited((1, 8, 8), 10, training_images=958, cuda=False)
    assert Space(**{**space.to_dict(), "input_shape": [1, 8, 8], "batch_sizes": list(space.batch_sizes)}) == space


def test_a_smaller_machine_gets_a_smaller_space() -> None:
    gpu = suited((3, 32, 32), 10, training_images=45_000, cuda=True)
    core = suited((3, 32, 32), 10, training_images=45_000, cuda=False)
    assert core.max_flops < gpu.max_flops / 100
    assert max(core.batch_sizes) < max(gpu.batch_sizes)
    assert suited((1, 4, 4), 2, training_images=10, cuda=False).batch_sizes == (16,)
