"""Describe the gains of a choice, and its certainty, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ecosel.choosing.choice import Choice, Chosen, Group
from ecosel.choosing.cleaning.repeats import REPEATS
from ecosel.objectives import ACCURACY, Objective
from ecosel.output.characters import printable
from ecosel.output.measures import Measure, trade

Name = Callable[[int], str]


def gain(choice: Choice, parts: Mapping[str, Measure], name: Name, /) -> str:
    """Describe the best trade-off's losses and gains against the model that is best in the first quality.

    "Against B, the most accurate (81.9 %): 2 points less accuracy, 50 % less inference time."
    """
    if choice.used == 1:
        return ""
    k = reference_of(choice.objectives)
    columns = [o.column for o in choice.objectives]
    measured = [parts[column] for column in columns]
    pick, best = choice.answer[0], choice.picks[f"best:{columns[k]}"][0]
    at, of = choice.values[choice.at(pick)].tolist(), choice.values[choice.at(best)].tolist()
    within = " within the limits" if choice.restrictions else ""
    if at[k] == of[k]:
        return f"It is also the {measured[k].best_word}{within}."
    return f"Against {name(best)}, the {measured[k].best_word}{within} ({measured[k].text(of[k])}): {trade(measured, at, of, k)}."


def reference_of(objectives: Sequence[Objective], /) -> int:
    """Return the position of the objective against which others are compared: the first quality, else the first."""
    return next((k for k, objective in enumerate(objectives) if objective.is_quality), 0)


def bounds(choice: Choice, parts: Mapping[str, Measure], name: Name, /) -> list[str]:
    """State for each limit whether it binds, and the gain from dropping it."""
    k = reference_of(choice.objectives)
    measured = [parts[o.column] for o in choice.objectives]
    at = choice.values[choice.at(choice.answer[0])].tolist()
    said = []
    for bound in choice.restrictions:
        keep = f"{bound.kept:,} model{' meets' if bound.kept == 1 else 's meet'} it"
        if not bound.without:
            said.append(f"{bound.text} does not bind ({keep}).")
            continue
        change = trade(measured, bound.values, at, k) or "the same values"
        said.append(f"{bound.text} binds ({keep}): without it the choice would be {name(bound.without[0])}: {change}.")
    return [printable(sentence) for sentence in said]


def certainty(choice: Choice, name: Name, /) -> str:
    """State how much the choice depends on the weights, and on the measurements if their errors are known."""
    if choice.used == 1:
        return "It is the only model."
    if choice.role == "within":
        return "It is the cheapest model that close to the best quality."
    if choice.role == "knee":
        trade_off = choice.picks["trade_off"][0]
        besides = "" if trade_off in choice.answer else f" By weighted distance the choice would be {name(trade_off)}."
        return f"It is the knee of the front, farthest from the plane through its ends (Das 1999).{besides}"
    pick, error, rival = choice.picks["trade_off"][0], choice.wins.error, choice.rival()
    own = float(choice.wins.shares[choice.at(pick)])
    if (choice.values == choice.values[0]).all():
        text = f"No model is better in any objective than {name(pick)}, whatever the weights."
    else:
        about = f" (± {100 * error:.0f} %)" if error else ""
        text = f"{name(pick)} is the best trade-off under {share(own, sampled=error > 0)}{about} of all weightings"
        text += f", {name(rival[0])} under {share(rival[1], sampled=error > 0)}" if rival else ""
        if rival and rival[1] > own:
            text += ": the choice depends on the weights, and another model wins under more of them."
        else:
            judged = "hardly depends" if own >= 0.9 else "depends somewhat" if own >= 0.5 else "depends"
            text += f": the choice {judged} on the weights."
    if choice.resampling is not None:
        member, tied = choice.resampling, set(choice.picks["trade_off"])
        on_front, picked = member.of(pick)
        text += (
            f" Over {member.resamples:,} resamplings of the measurements it is on the front in {share(on_front, sampled=True)}"
            f" and the best trade-off in {share(picked, sampled=True)}"
        )
        others = [row for row in member.rows if row not in tied]
        other = max(others, key=lambda row: member.of(row)[1], default=None)
        rarely = other is None or not member.of(other)[1]
        text += "." if rarely or other is None else f", {name(other)} in {share(member.of(other)[1], sampled=True)}."
    return text


def hypervolume_of(choice: Choice, /) -> tuple[float | None, str]:
    """Return the share of the box between the ideal and the worst values that the front dominates, or None and the reason."""
    if len(choice.objectives) > 3:
        return None, "it is computed for two or three objectives"
    columns = [o.column for o in choice.objectives]
    extent = np.array([abs(choice.worst[column] - choice.ideal[column]) for column in columns])
    if not (extent > 0).all():
        return None, f"all models are equal in {columns[int(np.argmin(extent))]}"
    ideal = np.array([choice.ideal[column] for column in columns])
    shares = np.abs(choice.values / extent - ideal / extent)
    from ecosel.dominance import hypervolume

    return hypervolume(shares, np.ones(len(columns))), "share of the box between the ideal and the worst values"


def share(part: float, /, *, sampled: bool = False) -> str:
    """Write a share as a percentage with no more digits than its error allows; a sampled one is never 0 or 100."""
    percent = 100 * part
    if sampled:
        return "<1 %" if percent < 0.5 else ">99 %" if percent >= 99.5 else f"{math.floor(percent + 0.5)} %"
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.3g} %"


def number(value: float, /) -> str:
    """Write a number in few characters: whole ones in full, others with five digits."""
    if value == int(value) and abs(value) < 1e12:
        return f"{value:,.0f}"
    if 1e3 <= abs(value) < 1e9:
        return f"{value:,.{max(0, 4 - int(math.log10(abs(value))))}f}"
    return f"{value:.5g}"


def summary(selection: Chosen) -> str:
    """State the archive, the number of rows, and the rule of the choice."""
    origin = selection.origin
    reasons = {"miss a value": selection.left_out.height, "filtered": origin.filtered, **origin.statuses}
    reasons |= {"unfinished": origin.unfinished - sum(origin.statuses.values())}
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    models = selection.models
    if REPEATS in models.columns:
        used = f"{models.height:,} models, means of {int(models[REPEATS].sum()):,} of {selection.rows:,} rows"
    else:
        used = f"{models.height:,} of {selection.rows:,} models used"
    used += f" ({left_out})" if left_out else ""
    lines = [
        (f"{printable(origin.path)}: " if origin.path else "") + used,
        f"Best trade-off: lowest weighted distance to the ideal point; {_rule_in_words(selection)}.",
        *_ideals(selection),
        *(["Limits restrict the choice; ideal and scale come from all models."] if selection.requirements.limits else []),
        *(f"{remark}." for remark in selection.remarks),
    ]
    return "\n".join(map(printable, lines))


def _ideals(selection: Chosen) -> list[str]:
    """State the ideals of qualities other than accuracy that were not given, and their origin."""
    open_ended = [o.column for o in selection.objectives if ideal_from(selection, o) == "front"]
    if not open_ended:
        return []
    best = ", ".join(
        f"{column} {number(ideals.pop())}" if len(ideals) == 1 else column
        for column in open_ended
        if (ideals := {choice.ideal[column] for choice in selection.choices if column in choice.ideal})
    )
    why = "for columns other than accuracy the highest possible value is unknown; set it with --ideal"
    return [printable(f"Ideal: {best}: the best on the front; {why}.")]


def ideal_from(selection: Chosen, objective: Objective) -> str:
    """Return where an ideal comes from: `given`, `known` (accuracy), `zero`, or the `front`."""
    if objective.column in selection.given_ideals:
        return "given"
    if objective == ACCURACY:
        return "known"
    return "front" if objective.is_quality or objective.column in _below_zero(selection) else "zero"


def _rule_in_words(selection: Chosen) -> str:
    rule = selection.rule
    weights = "weights as listed" if any(weight != 1 for weight in rule.weights.values()) else "weights 1"
    if rule.preset:
        return f"preset paper (1 s, 1e7 parameters, 10 mJ, all of the accuracy; the paper states no weights), {weights}"
    by = {
        "max": "; ".join(_max_rule(selection)),
        "range": "each objective by its range on the front",
        "archive-range": "each objective by its range over all models of a group",
        "none": "raw units",
    }[rule.scale]
    below = _below_zero(selection)
    if below and rule.scale != "max":
        by += f"; measured from their best value, since they go below 0: {', '.join(below)}"
    return f"scale {rule.scale} ({printable(by)}), {weights}"


def _below_zero(selection: Chosen) -> list[str]:
    """Return the costs with values below 0 on a front, for which the ideal is not 0."""
    return [
        o.column
        for o in selection.objectives
        if not o.is_quality
        and any((c.values[:, c.objectives.index(o)] < 0).any() for c in selection.choices if o in c.objectives)
    ]


def _max_rule(selection: Chosen) -> list[str]:
    """State the divisor of each objective under the default scale, as Rule.scales applies it."""
    rule, objectives = selection.rule, selection.objectives
    below = _below_zero(selection)
    above = [o.column for o in objectives if not o.is_quality and o.column not in below]
    by_ideal = [o.column for o in objectives if o == ACCURACY or (o.is_quality and o.column in rule.ideal)]
    by_range = [o.column for o in objectives if o.is_quality and o.column not in by_ideal]
    parts = []
    if above and not below:
        parts.append("costs by their largest value on the front")
    elif above:
        parts.append(f"{', '.join(above)} by {_its(above)} largest value on the front")
    if below:
        goes = "it goes" if len(below) == 1 else "they go"
        its = _its(below)
        parts.append(f"{', '.join(below)}, measured from {its} best value, by {its} range where {goes} below 0 on the front")
    if by_ideal:
        parts.append(f"{', '.join(by_ideal)} by {_its(by_ideal)} ideal")
    if by_range:
        parts.append(f"{', '.join(by_range)}, measured from the best, by {_its(by_range)} range on the front")
    return parts


def _its(columns: Sequence[str]) -> str:
    return "its" if len(columns) == 1 else "their"


def title(group: Group, choice: Choice) -> str:
    words = {"max": "highest", "min": "lowest"}
    wanted = [f"{words[o.sense]} {o.column}" for o in choice.objectives]
    of = " against ".join(wanted) if choice.kind == "pair" else f"all objectives together: {', '.join(wanted)}"
    front = f"{len(choice.front):,} of {choice.used:,} models on the Pareto front"
    return printable(f"{key_of(group)}{of}; {front}")


def key_of(group: Group) -> str:
    """Return the values that the models of a group share, with a colon; "" if there is only one group."""
    key = ", ".join(f"{column} = {cell}" for column, cell in (group.key or {}).items())
    return f"{key}: " if key else ""


def of_parent(selection: Chosen, row: int) -> str | None:
    """State which variant of which model a row is; None if it is not a variant."""
    lineage = selection.lineage(row)
    return None if lineage is None else printable(f"the variant {lineage[0]} of {lineage[1]}")


def answer(group: Group, choice: Choice, parts: Mapping[str, Measure], name: Name) -> list[str]:
    """Name the choice of a group, with its numbers, losses and gains, and certainty."""
    pick = choice.answer
    values = choice.values[choice.at(pick[0])].tolist()
    numbers = ", ".join(parts[o.column].phrase(value) for o, value in zip(choice.objectives, values, strict=True))
    tied = f" (and {len(pick) - 1:,} more that tie)" if len(pick) > 1 else ""
    where = f" for {printable(key_of(group))[:-2]}" if group.key else ""
    said = [gain(choice, parts, name), certainty(choice, name), *bounds(choice, parts, name)]
    return [f"Choose {name(pick[0])}{tied}{where}: {numbers}.", *filter(None, said)]
