"""Say in a sentence what a choice gains and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable

from ecosel.choosing.choice import Choice, Chosen, Group
from ecosel.objectives import ACCURACY

Name = Callable[[int], str]


def gain(choice: Choice, name: Name, /) -> str:
    """Compare the best trade-off with the model that is best in the first quality.

    "A has 98.1 % of the accuracy of B for 49.5 % of its inference_time_s."
    """
    reference = next((o for o in choice.objectives if o.is_quality), choice.objectives[0])
    pick, best = choice.picks["trade_off"][0], choice.picks[f"best:{reference.column}"][0]
    at, of = choice.values[choice.at(pick)], choice.values[choice.at(best)]
    columns = [o.column for o in choice.objectives]
    k = columns.index(reference.column)
    if at[k] == of[k]:
        return f"{name(pick)} is also the {'highest' if reference.is_quality else 'lowest'} in {reference.column}."
    others = [i for i in range(len(columns)) if i != k]
    if (of <= 0).any() or (at < 0).any():  # a share of 0, or of a negative number, says nothing
        changes = ", ".join(f"{columns[i]} {number(at[i])} instead of {number(of[i])}" for i in others)
        return f"{name(pick)} has {reference.column} {number(at[k])} instead of {number(of[k])} of {name(best)}, and {changes}."
    changes = ", ".join(_part(at[i] / of[i], f"its {columns[i]}") for i in others)
    return f"{name(pick)} has {_part(at[k] / of[k], f'the {reference.column}')} of {name(best)} for {changes}."


def certainty(choice: Choice, name: Name, /) -> str:
    """Say how far the choice depends on the weights, and on the measurements where their errors are known."""
    shares = choice.win_shares()
    pick = choice.picks["trade_off"][0]
    error = choice.wins.error
    own = shares.get(pick, 0.0)
    rivals = [row for row in shares if row not in choice.picks["trade_off"]]
    if (choice.values == choice.values[0]).all():
        text = f"No model is better in any objective than {name(pick)}, whatever the weights."
    else:
        about = f" (± {100 * error:.0f} %)" if error else ""
        text = f"{name(pick)} is the best trade-off under {share(own, sampled=error > 0)}{about} of all weightings"
        text += f", {name(rivals[0])} under {share(shares[rivals[0]], sampled=error > 0)}" if rivals else ""
        if rivals and shares[rivals[0]] > own:
            text += ": the choice depends on the weights, and another model wins under more of them."
        else:
            judged = "hardly depends" if own >= 0.9 else "depends somewhat" if own >= 0.5 else "depends"
            text += f": the choice {judged} on the weights."
    if choice.resampling is not None:
        member = choice.resampling
        on_front, picked = member.of(pick)
        text += (
            f" Over {member.resamples:,} resamplings of the measurements it is on the front in {share(on_front)}"
            f" and the best trade-off in {share(picked)}"
        )
        other = max(
            (row for row in member.rows if row not in choice.picks["trade_off"]), key=lambda row: member.of(row)[1], default=None
        )
        text += f", {name(other)} in {share(member.of(other)[1])}." if other is not None and member.of(other)[1] > 0 else "."
    return text


def _part(part: float, whole: str) -> str:
    words = share(part)
    return f"{words} {whole}" if words.endswith("times") else f"{words} of {whole}"


def share(part: float, /, *, sampled: bool = False) -> str:
    """Write a share as a percentage of few digits; a sampled one is never 0 or all."""
    percent = 100 * part
    if percent < 0.1 and (sampled or percent > 0):
        return "<0.1 %"
    if 99.9 < percent <= 100 and (sampled or percent < 100):
        return ">99.9 %"
    if 99 < percent < 101 and percent != 100:
        return f"{percent:.1f} %"
    return f"{percent:.3g} %" if percent < 1000 else f"{part:,.0f} times"


def number(value: float, /) -> str:
    """Write a number in few characters: whole ones in full, others with five digits."""
    if value == int(value) and abs(value) < 1e12:
        return f"{value:,.0f}"
    if 1e3 <= abs(value) < 1e9:
        return f"{value:,.{max(0, 4 - int(math.log10(abs(value))))}f}"
    return f"{value:.5g}"


def summary(selection: Chosen) -> str:
    """Say which archive, how many rows, and by which rule."""
    origin = selection.origin
    reasons = {"miss a value": selection.left_out.height, "filtered": origin.filtered, "unfinished": origin.unfinished}
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    used = f"{selection.models.height:,} of {selection.rows:,} models used" + (f" ({left_out})" if left_out else "")
    lines = [
        (f"{printable(origin.path)}: " if origin.path else "") + used,
        f"Best trade-off: lowest weighted distance to the ideal point; {_rule_in_words(selection)}.",
        *(f"{remark}." for remark in selection.remarks),
    ]
    return "\n".join(lines)


def _rule_in_words(selection: Chosen) -> str:
    rule, objectives = selection.rule, selection.objectives
    weights = "their weights under them" if any(weight != 1 for weight in rule.weights.values()) else "weights 1"
    if rule.preset:
        return f"preset paper (1 s, 1e7 parameters, 10 mJ, all of the accuracy; the paper states no weights), {weights}"
    by_ideal = [o.column for o in objectives if o == ACCURACY or (o.is_quality and o.column in rule.ideal)]
    by_range = [o.column for o in objectives if o.is_quality and o.column not in by_ideal]
    parts = ["costs by their largest value on the front"] if any(not o.is_quality for o in objectives) else []
    parts += [f"{', '.join(by_ideal)} by its ideal"] if by_ideal else []
    parts += [f"{', '.join(by_range)} by its range on the front"] if by_range else []
    by = {
        "max": ", ".join(parts),
        "range": "each objective by its range on the front",
        "archive-range": "each objective by its range over all models of a group",
        "none": "raw units",
    }[rule.scale]
    return f"scale {rule.scale} ({printable(by)}), {weights}"


def title(group: Group, choice: Choice) -> str:
    key = ", ".join(f"{column} = {cell}" for column, cell in (group.key or {}).items())
    words = {"max": "highest", "min": "lowest"}
    if choice.kind == "pair":
        of = " against ".join(f"{words[o.sense]} {o.column}" for o in choice.objectives)
    else:
        of = "joint: " + ", ".join(f"{words[o.sense]} {o.column}" for o in choice.objectives)
    return printable((f"{key}: " if key else "") + f"{of}; front {len(choice.front):,} of {choice.used:,}")


def printable(text: str) -> str:
    """Replace what would steer a terminal (a name from a stranger's file may hold escape sequences)."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
