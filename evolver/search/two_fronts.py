"""Keep the first two fronts of a growing set of results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance import nondominated_rows


class TwoFronts:
    """The front of the added candidates, and the front of the rest, computed on demand."""

    def __init__(self) -> None:
        self._every: dict[int, tuple[float, ...]] = {}
        self._new: list[int] = []
        self._front: list[int] = []
        self._second: list[int] = []

    def add(self, birth: int, costs: tuple[float, ...]) -> None:
        """Add a candidate, or update its costs."""
        if birth in self._every:  # candidates that it kept off the fronts may return
            self._new, self._front, self._second = list(self._every), [], []
        else:
            self._new.append(birth)
        self._every[birth] = costs

    def numbers(self, *, front_only: bool) -> tuple[int, ...]:
        """Return births by rising costs."""
        if self._new:
            # candidates in neither front are dominated by one in the second, and stay so
            births = np.array([*self._front, *self._second, *self._new])
            costs = np.array([self._every[birth] for birth in births.tolist()])
            front = _front_of(costs)
            rest = np.setdiff1d(np.arange(len(births)), front)
            self._front = births[front].tolist()
            self._second = births[rest[_front_of(costs[rest])]].tolist()
            self._new.clear()
        return tuple(sorted(self._front + ([] if front_only else self._second), key=lambda birth: (self._every[birth], birth)))

    def least_beaten(self, costs: tuple[float, ...]) -> float:
        """Return the least first cost at which a candidate with these other costs is in neither front; inf if there is none."""
        self.numbers(front_only=False)
        below = [self._every[birth] for birth in self._second]
        return min((own[0] for own in below if all(a <= b for a, b in zip(own[1:], costs, strict=True))), default=np.inf)


def _front_of(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    if not len(costs):
        return np.empty(0, dtype=np.int64)
    return nondominated_rows([np.ascontiguousarray(column) for column in costs.T])
