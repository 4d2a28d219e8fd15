"""Draw the lettered networks as stacks of layers, the paper's Figure 2, from the column `topology`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ecosel.readers.table import ROW
from ecosel.report.view.view import GroupView

_CLASSES = {
    "convolution": "convolution",
    "inception": "inception",
    "pooling": "pooling",
    "inner product": "dense",
    "activation": "activation",
}
# Formats of hyperparameters; others are written as "name value".
_WORDS = {"channels": "{} channels", "units": "{} units", "rate": "rate {}", "stride": "stride {}", "kernel": "kernel {}",
          "kind": "{}", "padding": "padding {}", "dilation": "dilation {}",
          "groups": "{} groups", "parameters": "{} parameters"}  # fmt: skip
_MOST_LAYERS = 200
_DEEPEST = 3  # level of nested values that is shown


@dataclass(frozen=True)
class Layer:
    kind: str
    op: str
    words: str
    shape: str


@dataclass(frozen=True)
class Stack:
    """A lettered network: its layers, or the reason why they are not drawn."""

    letter: str
    name: str
    layers: tuple[Layer, ...]
    reason: str = ""


def stacks(rows: pl.DataFrame, views: Sequence[GroupView], /) -> list[list[Stack]]:
    """Return the lettered networks of each group; none if the archive holds no topologies."""
    if "topology" not in rows.columns:
        return []
    lettered = [model.row for view in views for model in view.letters]
    cells = dict(rows.select(ROW, "topology").filter(pl.col(ROW).is_in(lettered)).iter_rows())
    if not any(cell is not None for cell in cells.values()):
        return []
    return [[_stack(m.letter, view.names[m.row], cells.get(m.row)) for m in view.letters] for view in views]


def _stack(letter: str, name: str, cell: Any) -> Stack:
    try:
        layers = read_topology(cell)
    except ValueError as error:
        return Stack(letter, name, (), str(error))
    return Stack(letter, name, tuple(map(_layer, layers)))


def read_topology(cell: Any, /) -> list[Mapping[str, Any]]:
    """Read the JSON of one cell: a list of layers `{"op": ..., hyper-parameters, "output": shape}`.

    Raises ValueError with a one-line message for other content.
    """
    if cell is None:
        raise ValueError("the archive holds no topology of this model")
    try:
        layers = json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError):
        raise ValueError("its topology is not JSON") from None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) and isinstance(layer.get("op"), str) for layer in layers):
        raise ValueError('its topology is not a list of layers with an "op" each')
    if len(layers) > _MOST_LAYERS:
        raise ValueError(f"its topology has {len(layers)} layers; at most {_MOST_LAYERS} are drawn")
    return layers


def _layer(layer: Mapping[str, Any]) -> Layer:
    op = layer["op"]
    silent = {"op", "output", *(key for key, value in layer.items() if value is None or (key == "parameters" and value == 0))}
    known = [_worded(key, value) for key, value in layer.items() if key not in silent]
    shape = "" if layer.get("output") is None else _shape(layer["output"])
    return Layer(_CLASSES.get(op, "plain"), op, ", ".join(known), shape)


def _worded(key: str, value: Any) -> str:
    return _WORDS.get(key, f"{key.replace('{', '{{').replace('}', '}}')} {{}}").format(_shape(value))


def _shape(value: Any, depth: int = 0) -> str:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, list):
        return "×".join(_shape(part, depth + 1) for part in value[:8])
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {_shape(part, depth + 1)}" for key, part in list(value.items())[:8])
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )
