"""Draw the lettered networks as stacks of layers, the paper's Figure 2, from the column `topology`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ecosel.readers.table import ROW
from ecosel.report.sections.html import Section, text
from ecosel.report.view.letters import Lettered
from ecosel.report.view.view import GroupView

Layer = Mapping[str, Any]

_CLASSES = {
    "convolution": "convolution",
    "inception": "inception",
    "pooling": "pooling",
    "inner product": "dense",
    "activation": "activation",
}
# How a hyper-parameter is written; what is not here is written as "name value".
_WORDS = {"channels": "{} channels", "units": "{} units", "rate": "rate {}", "stride": "stride {}", "kernel": "kernel {}",
          "kind": "{}", "padding": "padding {}", "dilation": "dilation {}",
          "groups": "{} groups", "parameters": "{} parameters"}  # fmt: skip
_MOST_LAYERS = 200


def topology_section(rows: pl.DataFrame, views: Sequence[GroupView], /) -> Section | None:
    """Return the drawings of the lettered models; None where the archive holds no topologies."""
    if "topology" not in rows.columns:
        return None
    cells = dict(
        rows.select(ROW, "topology").filter(pl.col(ROW).is_in([m.row for view in views for m in view.letters])).iter_rows()
    )
    if not any(cell is not None for cell in cells.values()):
        return None
    groups = []
    for g, view in enumerate(views):
        stacks = "".join(_stack(model, view.names[model.row], cells.get(model.row)) for model in view.letters)
        head = f"<h3>{text(view.name)}</h3>" if view.name else ""
        groups.append(f'<div data-group="{g}">{head}<div class="stacks">{stacks}</div></div>')
    switch = (
        '<input type="checkbox" id="no-activations" checked> '
        '<label for="no-activations">leave activations out, as the paper does</label>'
    )
    return Section(f'<section id="topologies"><h2>Topologies</h2>{switch}{"".join(groups)}</section>')


def _stack(model: Lettered, name: str, cell: Any) -> str:
    try:
        layers = read_topology(cell)
    except ValueError as error:
        body = f'<p class="small">{text(error)}</p>'
    else:
        body = f"<ol>{''.join(map(_layer, layers))}</ol>"
    called = "" if name == model.letter else f" {text(name, 40)}"
    return f'<div class="stack"><h3><span class="tag">{model.letter}</span>{called}</h3>{body}</div>'


def read_topology(cell: Any, /) -> list[Layer]:
    """Read the JSON of one cell: a list of layers `{"op": ..., hyper-parameters, "output": shape}`.

    Raises ValueError with one line where it is none.
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


def _layer(layer: Layer) -> str:
    op = layer["op"]
    silent = {"op", "output", *(key for key, value in layer.items() if value is None or (key == "parameters" and value == 0))}
    known = [_worded(key, value) for key, value in layer.items() if key not in silent]
    shape = f'<span class="shape">→ {text(_shape(layer["output"]))}</span>' if layer.get("output") is not None else ""
    body = f'<span class="op">{text(op, 40)}</span>{text(", ".join(known), 160)} {shape}'
    return f'<li class="op-{_CLASSES.get(op, "plain")}">{body}</li>'


def _worded(key: str, value: Any) -> str:
    return _WORDS.get(key, f"{key.replace('{', '{{').replace('}', '}}')} {{}}").format(_shape(value))


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "×".join(_shape(part) for part in value[:8])
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {_shape(part)}" for key, part in list(value.items())[:8])
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )
