"""Measure several models on one device in turn, in random order, and find their ratios to the first."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from profilers.energy.intervals import Estimate, t_quantile
from profilers.energy.per_image import Window, Windows, joules_of
from profilers.energy.sampling.sampler import Sampler, Stopwatch
from profilers.energy.sampling.trace import PowerTrace
from profilers.measuring.device import warm_up
from profilers.measuring.measurement import Load, group_size, is_quiet, pause, phases_of, run_group
from profilers.measuring.settings import Plan, Progress, Show

# As many as the groups in a measurement of one model.
_FEWEST_ROUNDS = 10
_NARROW_LOOKS = 2


@dataclass(frozen=True)
class Rounds:
    """The groups of each model, one per round in random order; the `marks` of a model record when the others ran.

    If enough rounds had the processor to themselves, only these count; `unused` holds the groups of the rest.
    """

    groups: tuple[tuple[Window, ...], ...]
    unused: tuple[tuple[Window, ...], ...]
    base: Windows
    warm_up: str
    ended_by: str = ""

    @classmethod
    def of(cls, rounds: Sequence[Sequence[Window]], /, *, base: Windows, warm_up: str) -> Rounds:
        quiet = [row for row in rounds if all(map(is_quiet, row))]
        used = quiet if len(quiet) >= _FEWEST_ROUNDS else rounds
        unused = [row for row in rounds if row not in used]
        return cls(tuple(zip(*used, strict=True)), tuple(zip(*unused, strict=True)) or ((),) * len(rounds[0]), base, warm_up)

    def marks(self, model: int, /) -> Windows:
        # losses of the others do not concern this model
        others = [
            dataclasses.replace(group, lost=None)
            for number, groups in enumerate(zip(self.groups, self.unused, strict=True))
            for group in (*groups[0], *groups[1])
            if number != model
        ]
        return dataclasses.replace(self.base, groups=self.groups[model], others=(*others, *self.unused[model]))

    def time_ratio(self, model: int, /) -> Estimate:
        """Return the time of a model divided by that of the first, from pairs in the same round."""
        return _mean_ratio(*(_per_image(self.groups[number]) for number in (model, 0)))

    def energy_ratio(self, model: int, trace: PowerTrace, /) -> Estimate | None:
        """Return the energy of a model divided by that of the first, which cancels the meter's gain; None without a meter."""
        both = [joules_of(trace, self.marks(number)) for number in (model, 0)]
        if both[0] is None or both[1] is None:
            return None
        images = [np.array([group.images for group in self.groups[number]]) for number in (model, 0)]
        return _mean_ratio(*(np.array(joules) / count for joules, count in zip(both, images, strict=True)))


def _mean_ratio(over: ArrayLike, under: ArrayLike) -> Estimate:
    """Return the geometric mean of the rounds' ratios, with a t interval of their logarithms, whose ends are always above 0."""
    logs = np.log(np.asarray(over, float) / np.asarray(under, float))
    mean = float(logs.mean())
    if len(logs) < 2:
        return Estimate(math.exp(mean))
    half = t_quantile(len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _per_image(groups: Sequence[Window]) -> list[float]:
    return [group.duration_s / group.images for group in groups]


def compare(
    loads: Sequence[Load], sampler: Sampler | Stopwatch, plan: Plan, /, *, rng: np.random.Generator, show: Show, base: Windows
) -> Rounds:
    """Run a group of batches of every model, in a new random order each round, until all ratios are narrow enough.

    The models share the drift of the device and other load on it, so the ratios are free of both. `plan` applies to each
    model: n models take up to n times its seconds.
    """
    warm = warm_up(loads[0].run, sampler, plan, show)
    sizes = [group_size(load, sampler, plan, base) for load in loads]
    rounds: list[list[Window]] = []
    start_s, narrow = sampler.now(), 0
    longest_s = plan.max_s * len(loads)
    phases = phases_of(rng)
    pause(sampler, base, next(phases))
    while True:
        groups: dict[int, Window] = {}
        for model in rng.permutation(len(loads)).tolist():
            groups[model] = run_group(loads[model], sampler, sizes[model])
            pause(sampler, base, next(phases))
        rounds.append([groups[model] for model in range(len(loads))])
        found = Rounds.of(rounds, base=base, warm_up=warm)
        widest = max((found.time_ratio(model).relative for model in range(1, len(loads))), default=0.0)
        spent_s = sampler.now() - start_s
        narrow = narrow + 1 if widest <= plan.ci and len(rounds) >= _FEWEST_ROUNDS else 0
        if narrow >= _NARROW_LOOKS and spent_s >= plan.min_s * len(loads):
            return dataclasses.replace(found, ended_by=f"the 95 % interval of every ratio is within {plan.ci:.2%} ({widest:.2%})")
        if spent_s >= longest_s and len(rounds) >= 2:
            reached = f"{widest:.2%}" if math.isfinite(widest) else "unknown"
            return dataclasses.replace(found, ended_by=f"{longest_s:g} s passed with the widest ratio at {reached}")
        show(Progress("measuring side by side", min(1.0, spent_s / longest_s), max(0.0, longest_s - spent_s)))
