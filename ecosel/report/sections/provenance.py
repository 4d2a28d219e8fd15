"""State where the numbers of a page come from, and their limits."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

import polars as pl

from ecosel import __version__
from ecosel.output.sentences import key_of, number, summary
from ecosel.readers.cells.numbers import read_numbers
from ecosel.readers.table import ROW
from ecosel.selection import Selection

# Columns that describe how a model was measured, and their titles.
_MEASURED = {"device": "device", "precision": "precision", "batch_size": "batch size", "energy_source": "energy was read from",
             "driver": "driver"}  # fmt: skip
_LIMITS = {
    "nvml-counter": "The energy counter of the NVIDIA board: the whole board, idle power included; the maker states no "
                    "accuracy for it.",
    "nvml-power": "Power of the NVIDIA board, polled and integrated: the sensor may see only part of each interval (25 of "
                  "every 100 ms on A100 and H100, arXiv 2312.02741) and may average over up to 1 s, so short runs are "
                  "uncertain; idle power is included.",
    "rapl": "Intel/AMD RAPL: a counter of the processor package (and memory, if it has one), modelled or measured by the "
            "processor itself; it excludes graphics cards, fans and the power supply.",
    "constant": "No power was measured: a constant power was assumed and multiplied by the time, which ranks models by time "
                "alone.",
    "replay": "A recorded power trace was played back: the numbers belong to the recording, not to the machine named here.",
}  # fmt: skip
_MOST_SHOWN = 6


@dataclass(frozen=True)
class RuleLine:
    """Ideal, scale and weight of one objective in one choice; in most archives they differ between choices."""

    group: str
    choice: str
    objective: str
    ideal: str
    scale: str
    weight: str


@dataclass(frozen=True)
class Provenance:
    facts: tuple[tuple[str, str], ...]
    rules: tuple[RuleLine, ...]


def provenance(selection: Selection, rows: pl.DataFrame, /, *, digest: str | None) -> Provenance:
    """State where the numbers come from; rows are those of the archive as it was read."""
    archive, *said = summary(selection).split("\n")
    facts = [("archive", archive), *([("its SHA-256", digest)] if digest else [])]
    facts += [("rule", said[0]), *(("remark", remark) for remark in said[1:])]
    facts += _left_out(selection)
    if any(weight != 1 for weight in selection.rule.weights.values()):
        weights = (f"{o.column} {number(selection.rule.weights.get(o.column, 1.0))}" for o in selection.objectives)
        facts.append(("weights of the command", ", ".join(weights)))
    if selection.rule.ideal:
        facts.append(("ideals given", ", ".join(f"{column} {number(value)}" for column, value in selection.rule.ideal.items())))
    facts += _measured(selection, rows.filter(pl.col(ROW).is_in(selection.models[ROW].implode())))
    facts += [("made with", _versions())]
    return Provenance(tuple(facts), tuple(_rules(selection)))


def _left_out(selection: Selection) -> list[tuple[str, str]]:
    facts = []
    if selection.left_out.height:
        counts = selection.left_out["missing"].value_counts(sort=True).head(_MOST_SHOWN)
        facts.append(("left out, no value in", "; ".join(f"{missing}: {count:,} rows" for missing, count in counts.iter_rows())))
    if selection.origin.filtered:
        facts.append(("left out by --where", f"{selection.origin.filtered:,} rows"))
    without = [f"{status}: {count:,} rows" for status, count in selection.origin.statuses.items()]
    others = selection.origin.unfinished - sum(selection.origin.statuses.values())
    without += [f"not finished: {others:,} rows"] if others else []
    if without:
        facts.append(("left out, no result", "; ".join(without)))
    return facts


def _measured(selection: Selection, used: pl.DataFrame) -> list[tuple[str, str]]:
    facts = [(words, _values(used[column])) for column, words in _MEASURED.items() if column in used.columns]
    facts = [(words, values) for words, values in facts if values]
    energies = [o.column for o in selection.objectives if "energy" in o.column.lower()]
    if not energies:
        return facts
    sources = (
        used["energy_source"].cast(pl.String).drop_nulls().unique().sort().to_list() if "energy_source" in used.columns else []
    )
    kinds = dict.fromkeys(source.split(":")[0] for source in sources)
    limits = [f"{kind}: {_LIMITS[kind]}" for kind in kinds if kind in _LIMITS]
    unknown = "The archive does not say how energy was measured (no column energy_source), so its error is unknown."
    known = [f"{column} has a 95 % interval" for column in energies if _has_error(used, column)]
    without = [f"{column} has no interval: differences between models may be smaller than the error" for column in energies
               if not _has_error(used, column)]  # fmt: skip
    return [*facts, ("limits of the energy", " ".join([*(limits or [unknown]), *(f"{part}." for part in (*known, *without))]))]


def _has_error(used: pl.DataFrame, column: str) -> bool:
    ends = [f"{column}_std", f"{column}_low", f"{column}_high"]
    return any(read_numbers(used[end])[0].null_count() < used.height for end in ends if end in used.columns)


def _values(cells: pl.Series) -> str:
    counts = (
        cells.drop_nulls()
        .cast(pl.String, strict=False)
        .value_counts(sort=True)
        .sort(["count", cells.name], descending=[True, False])
    )
    shown = [f"{value} ({count:,})" for value, count in counts.head(_MOST_SHOWN).iter_rows()]
    more = f" and {counts.height - _MOST_SHOWN} more" if counts.height > _MOST_SHOWN else ""
    return ", ".join(shown) + more


def _rules(selection: Selection) -> Iterator[RuleLine]:
    for group in selection.groups:
        for choice in group.choices:
            kind = "all objectives" if choice.kind == "joint" else " against ".join(o.column for o in choice.objectives)
            for o in choice.objectives:
                stated = (part[o.column] for part in (choice.ideal, choice.scale, choice.weights))
                yield RuleLine(key_of(group)[:-2], kind, o.column, *map(number, stated))


def _versions() -> str:
    libraries = ("polars", "altair", "vl-convert-python")
    return ", ".join(
        [f"ecosel {__version__}", f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in libraries)]
    )
