"""Error of the energy of a short load: the naive recipe, the counter as it is read, and ours, on simulated sensors.

python tests/benchmarks/short_loads.py

No hardware: true power is 75 W idle and 300 W under load; the sensor is polled every 100 ms with 20 % jitter and updates
every 20 or 100 ms with an average over 25, 100 or 1000 ms; 1,000 trials a row. A sensor's own gain error comes on top.
"""

from __future__ import annotations

import time

import numpy as np

from profilers.energy.window import Sensor, counter_energy, integral, naive_energy, power_estimate
from tests.profilers.energy.test_window import seen
from tests.profilers.simulated import Board

TRIALS = 1000


def main() -> None:
    print("| load s | update ms | average ms | naive 100 ms: bias, sd % | ours: bias, sd, max % |")
    print("| --- | --- | --- | --- | --- |")
    for load_s in (0.3, 1.0, 3.0, 10.0):
        for period in (0.02, 0.1):
            for window in (0.025, 0.1, 1.0):
                rng = np.random.default_rng(0)
                ours, naive = [], []
                for _ in range(TRIALS):
                    times, watts, start, end = seen(rng, Board(period, window), load_s=load_s)
                    truth = 300 * load_s
                    ours.append(100 * (power_estimate(times, watts, start, end, sensor=Sensor(period, window)).value / truth - 1))
                    naive.append(100 * ((naive_energy(times, watts, start, end) or 0.0) / truth - 1))
                print(
                    f"| {load_s:g} | {period * 1e3:.0f} | {window * 1e3:.0f} | {np.mean(naive):.1f}, {np.std(naive):.1f} "
                    f"| {np.mean(ours):.2f}, {np.std(ours):.2f}, {np.abs(ours).max():.2f} |"
                )
    counters()
    speed()


def counters() -> None:
    print("\n| load s | tick ms | counter as read: bias, max % | between ticks: bias, max % |")
    print("| --- | --- | --- | --- |")
    for load_s in (0.3, 1.0, 3.0):
        for tick in (0.02, 0.1):
            rng = np.random.default_rng(0)
            ours, naive = [], []
            for _ in range(TRIALS):
                board = Board(tick_s=tick, phase=float(rng.uniform()))
                spin = np.arange(0, 0.4, 0.002)
                first = np.flatnonzero(np.diff(board.counted(spin)) > 0)[0] + 1
                start = float(spin[first])
                board.spend(start, board.idle_w)
                board.spend(load_s, 300.0)
                times = np.concatenate((spin[: first + 1], start + load_s + spin))
                joules = board.counted(times)
                found = counter_energy(times, joules, start, start + load_s, idle_w=board.idle_w)
                ours.append(100 * (found / 300 / load_s - 1))
                begin = rng.uniform(0, 0.2)
                other = Board(tick_s=tick, phase=float(rng.uniform()))
                other.spend(begin, other.idle_w)
                other.spend(load_s, 300.0)
                read = other.counted(np.array([begin, begin + load_s]))
                naive.append(100 * ((read[1] - read[0]) / 300 / load_s - 1))
            print(
                f"| {load_s:g} | {tick * 1e3:.0f} | {np.mean(naive):.1f}, {np.abs(naive).max():.1f} "
                f"| {np.mean(ours):.3f}, {np.abs(ours).max():.3f} |"
            )


def speed() -> None:
    times = np.linspace(0.0, 1e5, 1_000_000)
    watts = 100 + np.sin(times)
    taken = []
    for _ in range(20):
        begin = time.perf_counter()
        integral(times, watts, 10.0, 99_990.0)
        taken.append(time.perf_counter() - begin)
    print(f"\n1e6 samples are integrated in {1e3 * float(np.median(taken)):.1f} ms (median of {len(taken)}).")


if __name__ == "__main__":
    main()
