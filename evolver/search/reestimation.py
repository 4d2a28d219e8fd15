"""Re-estimate a candidate's accuracy from several trainings, as the highest of many single ones is partly luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

from evolver.jobs import Outcome, Reestimate

# Student's t, 97.5 %, for 1 to 4 degrees of freedom
_T = (12.706, 4.303, 3.182, 2.776)


def reestimated(outcomes: Sequence[Outcome]) -> Reestimate:
    """Return the mean accuracy of two to five trainings of one candidate, with its 95 % interval.

    The interval combines two errors: that of the validation images, which is the same in every training, and that of the seeds,
    t * s / sqrt(k). A training that failed counts as accuracy 0.
    """
    if not 2 <= len(outcomes) <= len(_T) + 1:
        raise ValueError(f"{len(outcomes)} trainings; there must be 2 to {len(_T) + 1}")
    accuracies = [outcome.accuracy or 0.0 for outcome in outcomes]
    centre, spread = mean(accuracies), stdev(accuracies)
    bounds = [
        (outcome.accuracy - outcome.accuracy_low, outcome.accuracy_high - outcome.accuracy)
        for outcome in outcomes
        if outcome.accuracy is not None and outcome.accuracy_low is not None and outcome.accuracy_high is not None
    ]
    below, above = (mean(side) for side in zip(*bounds, strict=True)) if bounds else (0.0, 0.0)
    seeds = _T[len(outcomes) - 2] * spread / math.sqrt(len(outcomes))
    low, high = max(0.0, centre - math.hypot(below, seeds)), min(1.0, centre + math.hypot(above, seeds))
    return Reestimate(centre, low, high, spread, len(outcomes))
