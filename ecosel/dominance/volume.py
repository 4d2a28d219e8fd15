"""Compute the hypervolume of three columns by a sweep over a staircase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import kernel

Costs = NDArray[np.float64]
Rows = NDArray[np.int32]


@kernel
def below(costs: Costs, order: Rows, reference: Costs) -> float:
    """Return the volume between costs [n, 3], in the order of the last column, and the reference.

    Walk by rising z with the staircase of (x, y) so far, x rising and y falling, and the area above it. A row adds the
    corner that it cuts out; between two rows, the volume grows by the area times the step in z.
    """
    n = len(costs)
    x, y = np.empty(n + 2), np.empty(n + 2)
    x[0], y[0] = -np.inf, reference[1]
    x[1], y[1] = reference[0], -np.inf
    size = 2
    area = volume = 0.0
    for i in range(n):
        if i:
            volume += area * (costs[order[i], 2] - costs[order[i - 1], 2])
        a, b = costs[order[i], 0], costs[order[i], 1]
        low, high = 0, size  # the first step with x above a
        while low < high:
            middle = (low + high) // 2
            if x[middle] <= a:
                low = middle + 1
            else:
                high = middle
        if y[low - 1] <= b:
            continue  # dominated: it cuts out nothing
        at = low
        if x[at - 1] == a:
            at -= 1
        # the steps from `at` on whose y is not below b vanish; each contributes its piece of the corner
        left, ceiling = a, y[low - 1]
        gone = low
        while True:
            right = x[gone]
            area += (right - left) * (ceiling - b)
            if y[gone] < b:
                break
            left, ceiling = right, y[gone]
            gone += 1
        shift = gone - at - 1
        if shift < 0:
            for k in range(size, at, -1):
                x[k], y[k] = x[k - 1], y[k - 1]
        else:
            for k in range(gone, size):
                x[k - shift], y[k - shift] = x[k], y[k]
        size -= shift
        x[at], y[at] = a, b
    if n:
        volume += area * (reference[2] - costs[order[n - 1], 2])
    return volume
