"""Warn if the energies of two picks differ by less than the systematic error of their meters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from ecosel.choosing.choice import Group
from ecosel.choosing.cleaning.frames import SYSTEMATIC
from ecosel.objectives import ENERGY
from ecosel.readers.cells.numbers import read_numbers
from ecosel.readers.table import ROW

_ENERGY = ENERGY.column


def systematic_remarks(models: pl.DataFrame, groups: Iterable[Group], /) -> list[str]:
    """Return a remark for each pick whose energy does not clearly differ from the answer's.

    On one device the gain cancels, and the offset with the time of an inference; between devices both count in full.
    """
    if not {_ENERGY, *SYSTEMATIC[:3]} <= set(models.columns):
        return []
    numbers = models.select(ROW, *(read_numbers(models[column])[0].cast(pl.Float64) for column in (_ENERGY, *SYSTEMATIC[:3])))
    devices = models["device"].to_list() if "device" in models.columns else [None] * models.height
    rows = {row[ROW]: {**row, "device": device} for row, device in zip(numbers.to_dicts(), devices, strict=True)}
    remarks = []
    for group in groups:
        choice = group.choices[-1]
        if _ENERGY not in [objective.column for objective in choice.objectives]:
            continue
        one = choice.answer[0]
        others = dict.fromkeys(row for picked in choice.picks.values() for row in picked[:1] if row != one)
        remarks += [said for other in others if (said := _compared(rows[one], rows[other]))]
    return list(dict.fromkeys(remarks))


def _compared(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    pair = (one, other)
    if any(row[column] is None for row in pair for column in (_ENERGY, *SYSTEMATIC[:3])):
        return None
    times = [row[_ENERGY] / row["mean_power_w"] for row in pair if row["mean_power_w"] > 0]
    if len(times) < 2:
        return None
    same = one["device"] is not None and one["device"] == other["device"]
    gains = 0.0 if same else sum(row["energy_gain_error"] * row[_ENERGY] for row in pair)
    offset_w = max(row["energy_offset_error_w"] for row in pair)
    offsets = offset_w * (abs(times[0] - times[1]) if same else sum(times))
    difference = abs(one[_ENERGY] - other[_ENERGY])
    if not difference < gains + offsets:
        return None
    larger = max(one[_ENERGY], other[_ENERGY])
    where = "on one board, where the gain cancels but not the offset" if same else "on two boards or unnamed ones"
    return (
        f"the energies of rows {one[ROW]} and {other[ROW]} differ by {difference / larger:.1%}, less than the systematic error "
        f"of their meters ({(gains + offsets) / larger:.1%}, {where}); models on one board at similar power share this error"
    )
