"""Say in a sentence what a choice gains and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable

from ecosel.selection import Choice

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
    shares = choice.shares()
    pick = choice.picks["trade_off"][0]
    error = choice.acceptability.error
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
    if choice.membership is not None:
        member = choice.membership
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
