"""What telling outcomes in the order of birth costs in idle workers: python -m tests.benchmarks.lag

Simulated time, no training: durations are lognormal, sigma 1 (the 95th percentile is five times the median), 20,000 births. A birth
starts when a worker is free and all births but the last LAG before it are done.
"""

from __future__ import annotations

import heapq

import numpy as np


def busy(workers: int, lag: int, durations: np.ndarray) -> float:
    """Return the share of the workers' time in which they work."""
    done = np.zeros(len(durations))  # when all births up to this one were done
    free = [0.0] * workers
    for birth, duration in enumerate(durations.tolist()):
        start = max(heapq.heappop(free), done[birth - lag - 1] if birth > lag else 0.0)
        heapq.heappush(free, start + duration)
        done[birth] = max(start + duration, done[birth - 1] if birth else 0.0)
    return float(durations.sum() / (workers * done[-1]))


def main() -> None:
    durations = np.random.default_rng(0).lognormal(0.0, 1.0, 20_000)
    lags = (1, 2, 4, 8, 16, 32, 64)
    print("| workers | " + " | ".join(f"lag {lag}" for lag in lags) + " |")
    print("| --- " * (len(lags) + 1) + "|")
    for workers in (1, 2, 4, 8, 16):
        print(f"| {workers} | " + " | ".join(f"{busy(workers, lag, durations):.0%}" for lag in lags) + " |")


if __name__ == "__main__":
    main()
