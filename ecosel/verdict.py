"""Say in a sentence what a choice gains and how sure it is."""

from __future__ import annotations

from collections.abc import Callable

from ecosel.robustness import RESAMPLES
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
    changes = ", ".join(f"{share(at[i] / of[i])} of its {columns[i]}" for i in others)
    return f"{name(pick)} has {share(at[k] / of[k])} of the {reference.column} of {name(best)} for {changes}."


def certainty(choice: Choice, name: Name, /) -> str:
    """Say how far the choice depends on the weights, and on the measurements where their errors are known."""
    shares = choice.shares()
    pick = choice.picks["trade_off"][0]
    own = shares.get(pick, 0.0)
    about = f" (± {100 * choice.acceptability.error:.0f} %)" if choice.acceptability.error else ""
    rivals = [row for row in shares if row != pick and row not in choice.picks["trade_off"]]
    if len(choice.front) == len(choice.picks["trade_off"]):
        text = f"{name(pick)} is the best trade-off under every weighting."
    else:
        judged = "hardly depends" if own >= 0.9 else "depends somewhat" if own >= 0.5 else "depends"
        text = f"{name(pick)} is the best trade-off under {share(own)}{about} of all weightings"
        text += f", {name(rivals[0])} under {share(shares[rivals[0]])}" if rivals else ""
        text += f": the choice {judged} on the weights."
    if choice.membership is not None:
        at = choice.at(pick)
        text += (
            f" Over {RESAMPLES:,} resamplings of the measurements it is on the front in {share(choice.membership.on_front[at])}"
            f" and the best trade-off in {share(choice.membership.pick[at])}."
        )
    return text


def share(part: float, /) -> str:
    percent = 100 * part
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.95 <= percent < 100:
        return "over 99.9 %"
    return f"{percent:.3g} %" if percent < 1000 else f"{part:,.0f} times"


def number(value: float, /) -> str:
    """Write a number in few characters: whole ones in full, others with five digits."""
    if value == int(value) and abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.5g}"
