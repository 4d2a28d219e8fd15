"""The archives whose pages are tested."""

from __future__ import annotations

from typing import Any

import polars as pl

from ecosel.samples import sample
from ecosel.selection import Selection
from tests.ecosel.report.archives import archive, evolved

YOUNG = pl.read_csv(sample("young2019.csv"))
DIGITS = pl.read_csv(sample("digits_mlp.csv"))
BY_DATASET: dict[str, Any] = {"by": ["dataset"], "labels": ["model"]}
LABELLED: dict[str, Any] = {"labels": ["model"]}

CASES: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
    "the paper's table": (YOUNG, BY_DATASET),
    "intervals": (DIGITS, LABELLED),
    "evolved": (evolved(), {"labels": ["candidate_id"]}),
    "sampled": (archive(5_600), LABELLED),
    "three models": (archive(3), LABELLED),
    "one model": (archive(1), LABELLED),
    "copies": (pl.concat([archive(4)] * 3), LABELLED),
    "one objective": (archive(9), {"objectives": {"accuracy": "max"}}),
    "no pairs": (archive(40), {"pairs": False}),
    "two costs": (archive(40), {"objectives": {"parameters": "min", "inference_time_s": "min"}}),
    "two qualities": (archive(40), {"objectives": {"parameters": "max", "accuracy": "max", "inference_time_s": "min"}}),
    "four groups": (archive(80).with_columns(pl.Series("set", [k % 5 for k in range(80)])), {"by": ["set"], "labels": ["model"]}),
    "values of 0 and below": (
        archive(40).with_columns(pl.col("inference_time_s") - 0.01, pl.lit(0).alias("parameters")),
        {"labels": ["model"]},
    ),
}


def picks_of(selection: Selection) -> dict[str, list[int]]:
    """Return by element of the page what Python picks."""
    picks = {}
    for g, group in enumerate(selection.groups):
        pairs = [choice for choice in group.choices if choice.kind == "pair"]
        joint = next((choice for choice in group.choices if choice.kind == "joint"), pairs[0] if pairs else None)
        if joint is not None:
            picks[f"joint-{g}"] = list(joint.answer)
        if len(selection.objectives) > 2:
            picks |= {f"pair-{g}-{k}": list(choice.answer) for k, choice in enumerate(c for c in pairs if c is not joint)}
    return picks
