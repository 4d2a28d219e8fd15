"""Say where the numbers of a page come from, and what they do not say."""

from __future__ import annotations

import platform
from importlib.metadata import version

import polars as pl

from ecosel import __version__
from ecosel.output.sentences import number, summary
from ecosel.readers.cells import read_numbers
from ecosel.readers.table import ROW
from ecosel.report.sections.html import Section, text
from ecosel.selection import Selection

# What a column holds of how a model was measured, and what is said of it.
_MEASURED = {"device": "device", "precision": "precision", "batch_size": "batch size", "energy_source": "energy was read from",
             "driver": "driver"}  # fmt: skip
_LIMITS = {
    "nvml-counter": "The energy counter of the NVIDIA board: the whole board, idle power included; the maker states no "
                    "accuracy for it.",
    "nvml-power": "Power of the NVIDIA board, polled and integrated: the sensor may see only part of each interval (25 of "
                  "every 100 ms on A100 and H100, arXiv 2312.02741) and may average over up to 1 s, so short runs are "
                  "uncertain; idle power is included.",
    "rapl": "Intel/AMD RAPL: a counter of the processor package (and memory, where it has one), modelled or measured by the "
            "processor itself; no graphics card, fan or power supply is in it.",
    "constant": "No power was measured: a constant number of watts was assumed and multiplied by the time. It ranks models "
                "by time alone.",
    "replay": "A recorded power trace was played back: the numbers are those of the recording, not of the machine named here.",
}  # fmt: skip
_MOST_SHOWN = 6


def provenance_section(selection: Selection, rows: pl.DataFrame, /, *, command: str, digest: str | None) -> Section:
    """Return the section; rows are those of the archive as it was read, command makes the page again."""
    archive, *said = summary(selection).split("\n")
    facts = [("archive", archive), *([("its SHA-256", digest)] if digest else [])]
    facts += [("rule", said[0]), *(("remark", remark) for remark in said[1:])]
    facts += _left_out(selection)
    facts += [
        ("weights", ", ".join(f"{o.column} {number(selection.rule.weights.get(o.column, 1.0))}" for o in selection.objectives))
    ]
    if selection.rule.ideal:
        facts.append(("ideals given", ", ".join(f"{column} {number(value)}" for column, value in selection.rule.ideal.items())))
    facts += _measured(selection, rows.filter(pl.col(ROW).is_in(selection.models[ROW].implode())))
    facts.append(("seed of the samples", str(selection.seed)))
    facts.append(("made with", _versions()))
    items = "".join(f"<dt>{text(name)}</dt><dd>{text(words, 4_000)}</dd>" for name, words in facts)
    again = f'<dt>make it again</dt><dd><code id="command">{text(command, 4_000)}</code></dd>'
    formula = (
        "<p>Distance of a model x to the ideal point: <code>sqrt( Σ ( w_i · (x_i − ideal_i) / scale_i )² )</code>, over the "
        "models of the front; "
        "the ideal is 0 for a cost and 1 for accuracy unless stated. The method is that of Young et al. 2019, <cite>Evolving "
        "Energy Efficient "
        "Convolutional Neural Networks</cite>, section IV, which states neither weights nor scale.</p>"
    )
    return Section(f'<h2>Where the numbers come from</h2>{formula}<dl class="facts">{items}{again}</dl>{_rules(selection)}')


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
    unknown = "The archive does not say how energy was measured (no column energy_source), so nothing is known here of its error."
    known = [f"{column} carries a 95 % interval" for column in energies if _has_error(used, column)]
    without = [f"{column} carries no interval: differences between models may be smaller than the error" for column in energies
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


def _rules(selection: Selection) -> str:
    """Return a table of the ideal, scale and weight of every choice: rules disagree on most archives."""
    lines = []
    for group in selection.groups:
        key = ", ".join(f"{column} = {cell}" for column, cell in (group.key or {}).items())
        for choice in group.choices:
            for o in choice.objectives:
                cells = [
                    key,
                    choice.kind,
                    o.column,
                    number(choice.ideal[o.column]),
                    number(choice.scale[o.column]),
                    number(choice.weights[o.column]),
                ]
                lines.append(
                    "<tr>"
                    + "".join(
                        f'<td class="{"number" if k > 2 else "name"}">{text(cell, 60)}</td>' for k, cell in enumerate(cells)
                    )
                    + "</tr>"
                )
    heads = ("group", "choice", "objective", "ideal", "scale", "weight")
    head = "".join(f'<th scope="col"{" class=number" if k > 2 else ""}>{name}</th>' for k, name in enumerate(heads))
    return (
        f'<details><summary>Ideal and scale of every choice</summary><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _versions() -> str:
    libraries = ("polars", "altair", "vl-convert-python")
    return ", ".join(
        [f"ecosel {__version__}", f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in libraries)]
    )
