"""Turn beside.json into tables in Markdown; imports neither torch nor a driver."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

BARE, PROFILE = "bare", "profile"
NAMES = {
    BARE: "counter, between ticks", "raw": "counter, as read", PROFILE: "`ecosel profile`", "window": "`profilers.window`",
    "zeus": "Zeus", "codecarbon": "CodeCarbon",
}  # fmt: skip
_TOOLS = ("window", "zeus", "codecarbon")
Row = dict[str, Any]


def tables(file: Path, /) -> str:
    found = json.loads(file.read_text())
    return "\n".join([*_head(found), "", *_energy(found), "", *_start(found), "", *_short(found), "", *_tail(found)])


def _head(found: Row) -> Iterator[str]:
    if not found["device"].startswith("cuda"):
        yield "TRIED OUT WITHOUT A GPU: nothing below is a measurement of one.\n"
    machine, versions = found.get("machine", {}), found["versions"]
    yield f"{machine.get('board')}, driver {machine.get('driver')}; {', '.join(f'{k} {v}' for k, v in versions.items())}."
    yield f"`{' '.join(found['command'])}` on {found['date']}; batches of {found['batch']}, fp32, on the device."
    idle = found.get("idle_w")
    yield f"Idle power with the networks loaded: {idle:.1f} W." if idle else "Idle power: not measured."


def _energy(found: Row) -> Iterator[str]:
    yield (
        "| network | measured by | n | mJ per inference (median) | range | sd | difference from the counter between ticks "
        "| from the counter in the same loops | from `ecosel profile` | extra time | its own 95 % interval |"
    )
    yield "| --- | --- " + "| ---: " * 9 + "|"
    for network in dict.fromkeys(one["model"] for one in [*found["loops"], *found["profiles"]]):
        loops = [one for one in found["loops"] if one["model"] == network]
        profiles = [one for one in found["profiles"] if one["model"] == network]
        by = {tool: _per_image(loops, tool) for tool in (BARE, *_TOOLS)}
        by["raw"] = [one["counter_j"] / one["images"] for one in loops if one["tool"] != BARE and one.get("images")]
        by[PROFILE] = [one["joules_per_image"] for one in profiles if one["joules_per_image"] is not None]
        truth, ours = (fmean(by[name]) if by[name] else None for name in (BARE, PROFILE))
        for tool in NAMES:
            cells = [network, NAMES[tool], *_spread(by[tool])]
            cells += [_apart(by[tool], None if tool == BARE else truth), _same_loop(loops, tool)]
            cells += [_apart(by[tool], None if tool == PROFILE else ours), _overhead(loops, profiles, tool)]
            cells += [_interval(profiles if tool == PROFILE else [one for one in loops if one["tool"] == tool], tool)]
            yield f"| {' | '.join(cells)} |"


def _per_image(loops: Sequence[Row], tool: str) -> list[float]:
    return [one["joules"] / one["images"] for one in loops if one["tool"] == tool and one["joules"] is not None]


def _spread(values: Sequence[float]) -> list[str]:
    if not values:
        return ["0", "null", "null", "null"]
    sd = f"{stdev(values) / fmean(values):.2%}" if len(values) > 1 else "null"
    return [str(len(values)), f"{median(values) * 1e3:.4g}", f"{min(values) * 1e3:.4g} to {max(values) * 1e3:.4g}", sd]


def _apart(values: Sequence[float], reference: float | None) -> str:
    return f"{fmean(values) / reference - 1:+.2%}" if values and reference else ""


def _same_loop(loops: Sequence[Row], tool: str) -> str:
    ratios = [one["joules"] / one["counter_j"] for one in loops if one["tool"] == tool and one["joules"] and one["counter_j"]]
    return f"{fmean(ratios) - 1:+.2%}" if ratios and tool != "raw" else ""


def _overhead(loops: Sequence[Row], profiles: Sequence[Row], tool: str) -> str:
    """Return the extra time of loops under the tool, relative to bare loops of the same visit."""

    def rate(visit: int, of: str) -> float | None:
        chosen = [one for one in loops if one["visit"] == visit and one["tool"] == of]
        return sum(one["seconds"] for one in chosen) / sum(one["images"] for one in chosen) if chosen else None

    shares = []
    for visit in {one["visit"] for one in loops}:
        bare = rate(visit, BARE)
        if tool == PROFILE:
            its = [1 / one["images_per_s"] for one in profiles if one["visit"] == visit]
            spent = fmean(its) if its else None
        else:
            spent = rate(visit, tool)
        if bare and spent and tool not in (BARE, "raw"):
            shares.append(spent / bare - 1)
    return f"{fmean(shares):+.2%}" if shares else ""


def _interval(rows: Sequence[Row], tool: str) -> str:
    if tool in (BARE, "raw"):
        return ""
    key = "joules_per_image" if tool == PROFILE else "joules"
    halves = [(one["high"] - one["low"]) / 2 / one[key] for one in rows if one["low"] is not None and one[key]]
    return f"± {median(halves):.2%}" if halves else "null"


def _start(found: Row) -> Iterator[str]:
    yield (
        "| tool | import in a fresh process | from constructor to measuring in that process | start of a measurement in a running process "
        "| from the end of the loop to the figure | total time for one figure |"
    )
    yield "| --- " + "| ---: " * 5 + "|"
    for tool in _TOOLS:
        starts = [one for one in found["starts"] if one["tool"] == tool]
        loops = [one for one in found["loops"] if one["tool"] == tool and one["joules"] is not None]
        cells = [_each(one["import_s"] for one in starts), _each(one["ready_s"] for one in starts)]
        cells += [_middle([one[name] for one in loops]) for name in ("begin_s", "figure_s")]
        cells += [_middle([one["begin_s"] + one["seconds"] + one["figure_s"] for one in loops])]
        yield f"| {NAMES[tool]} | {' | '.join(cells)} |"
    walls = [one["wall_s"] for one in found["profiles"]]
    yield f"| {NAMES[PROFILE]} | as `profilers.window` | | | | {_middle(walls)} |"


def _each(values: Iterator[float]) -> str:
    return ", ".join(f"{value:.2f} s" for value in values) or "null"


def _middle(values: Sequence[float]) -> str:
    return f"{median(values):.3g} s ({min(values):.3g} to {max(values):.3g})" if values else "null"


def _short(found: Row) -> Iterator[str]:
    yield (
        "| network | loop | measured by | n | mean error | sd | largest error | difference from a long loop "
        "| intervals that contain the truth |"
    )
    yield "| --- | --- | --- " + "| ---: " * 6 + "|"
    long = found.get("long") or {}
    for series in found["short"]:
        truth, trials = series["truth_joules_per_image"], series["trials"]
        by = {tool: [one for one in trials if one["tool"] == tool and one["joules"] is not None] for tool in _TOOLS}
        values = {tool: _per_image(rows, tool) for tool, rows in by.items()}
        values["raw"] = [one["counter_j"] / one["images"] for one in trials]
        for tool in ("raw", *_TOOLS):
            shares = [value / truth - 1 for value in values[tool]] if truth else []
            cells = [series["model"], f"{series['busy_s'] / max(1, len(trials)):.2f} s", NAMES[tool], str(len(shares))]
            cells += [f"{fmean(shares):+.2%}" if shares else "null", f"{stdev(shares):.2%}" if len(shares) > 1 else "null"]
            cells += [f"{max(shares, key=abs):+.2%}" if shares else "null", _apart(values[tool], long.get("joules_per_image"))]
            held = [one["low"] <= truth * one["images"] <= one["high"] for one in by.get(tool, []) if one["low"] is not None]
            yield f"| {' | '.join([*cells, f'{sum(held)} of {len(held)}' if held else 'null'])} |"


def _tail(found: Row) -> Iterator[str]:
    if found["short"] and found.get("long"):
        for one in found["short"]:
            truth, long = one["truth_joules_per_image"], found["long"]["joules_per_image"]
            if truth:
                yield (
                    f"Truth of the loops of {one['wanted_s']:g} s: {truth * 1e3:.4g} mJ per inference by the counter over the series; "
                    f"a loop of {found['long']['seconds']:.1f} s: {long * 1e3:.4g} mJ."
                )
    for one in found.get("alone", []):
        told = one.get("error") or f"{one['joules'] / one['counter_j'] - 1:+.2%} against the loop's counter"
        yield f"A single `profilers.window` around a loop of {one['seconds']:.2f} s: {told}"
    for name in ("notes", "skipped"):
        yield from found[name]
    yield from (f"FAILED {one['step']}: {one['traceback'].strip().splitlines()[-1]}" for one in found["errors"])
    failed = {f"{one['model']}, {one['tool']}: {one['error']}" for one in found["loops"] if one.get("error")}
    yield from sorted(failed)
