"""Keep the first two fronts of growing results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance import dominators, nondominated_rows


class TwoFronts:
    """The front of what was added, and the front of the rest, kept as one candidate after another comes."""

    def __init__(self, columns: int) -> None:
        self.births = np.empty(0, dtype=np.int64)
        self.costs = np.empty((0, columns))
        self.second = np.empty(0, dtype=np.bool_)
        self._later: list[tuple[int, tuple[float, ...]]] = []

    def later(self, birth: int, costs: tuple[float, ...]) -> None:
        """Take a candidate whose layer nobody asks for yet: thousands at once cost little more than one."""
        self._later.append((birth, costs))

    def add(self, birth: int, costs: Sequence[float]) -> bool:
        """Return whether the candidate is in one of the two layers."""
        new = len(self.births)
        every = np.vstack([self.costs, np.asarray(costs, dtype=np.float64)])
        (above,) = dominators(every, [new])
        if self.second[above].any():
            return False  # and so by one of the front, too: most candidates end here
        second = np.append(self.second, len(above) > 0)
        (below,) = dominators(0.0 - every, [new])
        falls = np.zeros(new + 1, dtype=np.bool_)
        if second[new]:
            falls[below] = True
        else:
            # who leaves the front joins the second layer, and drives out of it whom it dominates
            demoted = below[~self.second[below]]
            for row in dominators(0.0 - every, demoted):
                falls[row] = True
            second[demoted] = True
        self.births = np.append(self.births, birth)[~falls]
        self.costs, self.second = every[~falls], second[~falls]
        return True

    def _settle(self) -> None:
        if self._later:
            births, costs = zip(*self._later, strict=True)
            self._later.clear()
            every = np.vstack([self.costs, np.array(costs)])
            numbers = np.append(self.births, births)
            front = front_of(every)
            rest = np.setdiff1d(np.arange(len(every)), front)
            rows = np.append(front, rest[front_of(every[rest])])
            self.births, self.costs, self.second = numbers[rows], every[rows], np.arange(len(rows)) >= len(front)

    def numbers(self, *, front_only: bool) -> tuple[int, ...]:
        """Return births by rising costs."""
        self._settle()
        order = np.lexsort(self.costs.T[::-1])
        return tuple(int(self.births[k]) for k in order if not (front_only and self.second[k]))


def front_of(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    if not len(costs):
        return np.empty(0, dtype=np.int64)
    return nondominated_rows([np.ascontiguousarray(column) for column in costs.T])
