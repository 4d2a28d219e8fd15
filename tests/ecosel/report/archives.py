"""Seeded archives for the tests of the report."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import polars as pl


@cache
def archive(rows: int, *, seed: int = 7) -> pl.DataFrame:
    """Models of three costs that grow with accuracy; many distinct fronts."""
    rng = np.random.default_rng(seed)
    size = rng.normal(0, 1, rows)
    time = np.exp(-5 + 0.8 * size + 0.4 * rng.normal(0, 1, rows))
    return pl.DataFrame(
        {
            "model": [f"net {k}" for k in range(rows)],
            "accuracy": np.clip(0.97 - 0.2 * np.exp(-0.6 * (size + 2)) - rng.gamma(1.4, 0.04, rows), 0.05, 0.99),
            "inference_time_s": time,
            "parameters": np.exp(12 + 1.3 * size + 0.4 * rng.normal(0, 1, rows)).astype(np.int64),
            "energy_per_inference_j": time * np.exp(-1 + 0.3 * rng.normal(0, 1, rows)),
        }
    )


LAYERS = [
    {"op": "convolution", "kernel": [20, 3], "stride": [1, 2], "channels": 32, "output": [32, 8, 8]},
    {"op": "activation", "kind": "relu", "output": [32, 8, 8]},
    {"op": "pooling", "kind": "max", "kernel": [2, 2], "output": [32, 4, 4]},
    {"op": "dropout", "rate": 0.25},
    {"op": "inner product", "units": 10, "output": [10]},
]


@cache
def evolved(rows: int = 60) -> pl.DataFrame:
    """An archive as the evolver writes it: every fifth candidate failed, each has the two before it as parents."""
    frame = archive(rows)
    ok = pl.Series([k % 5 != 4 for k in range(rows)])
    status = [["ok", "oom"][k % 5 == 4] if k != 9 else "timeout" for k in range(rows)]
    measured = [
        pl.when(ok).then(pl.col(column)).alias(column)
        for column in ("accuracy", "inference_time_s", "parameters", "energy_per_inference_j")
    ]
    return frame.rename({"model": "candidate_id"}).with_columns(
        *measured,
        pl.Series("status", status),
        pl.Series("birth", range(rows)),
        pl.Series("created_at", [f"2026-11-22T10:{k // 60:02d}:{k % 60:02d}Z" for k in range(rows)]),
        pl.Series("parents", [json.dumps([f"net {k - j}" for j in (1, 2) if k >= j]) for k in range(rows)]),
        pl.Series("topology", [json.dumps(LAYERS)] * rows),
        pl.Series("device", ["NVIDIA H100"] * rows),
        pl.Series("energy_source", ["nvml-counter"] * rows),
    )
