"""Measure how far an NVIDIA board's readings can be trusted: its sensors, its energy counter, square waves, short loads.

python -m tests.benchmarks.gpu.board OUT [--seconds 270] [--quick]

Writes OUT/board.json (facts, times of loads, figures from profilers.window) and OUT/board.tar (recordings in the format of
data/traces), both after every step. `python -m tests.benchmarks.gpu.board.page OUT data/h200` then makes the table and the picture.
--quick runs every step briefly, in about 60 s. --standin tries out the program on the tests' stand-in for NVML; its figures say
nothing about any board.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.gpu.board.loads import Load, MatrixProducts, StandinLoad, square, wait_until
from tests.benchmarks.gpu.board.recordings import identified
from tests.benchmarks.gpu.board.run import Loads, Recorder, Run

PERIODS_MS = (100.0, 101.0, 99.0, 150.0, 20.0, 95.0, 50.0, 105.0, 200.0, 110.0, 400.0)
SHARES = (1.0, 1.01, 0.99, 0.5)
_AFTER_S = 0.45  # an average shows the end of a load half a second late
_ALIKE = 0.003  # periods that differ by a smaller share count as the same
LENGTHS = {0.3: 10, 1.0: 8, 3.0: 4, 10.0: 2}
_ZEROS, _OF_LIMIT = (0.0, 0.5, 0.75, 0.9), 0.8
_GAP_S = 0.6  # profilers.window waits 0.7 s before, and an average takes a second to settle
_SHORT_S = 84.0  # time that all short loads take


def main() -> None:
    options = _options()
    if options.standin and "NVML_STANDIN" not in os.environ:
        sys.exit(_on_standin())
    seconds = options.seconds or (90.0 if options.quick else 270.0)
    run = Run(options.out, seconds, ["OUT" if word == str(options.out) else word for word in sys.argv[1:]])
    run.step("machine", 1, lambda: _machine(options))
    load = run.step("load", 8, lambda: _load(options, run))
    if load is None:
        run.say("without a load there is nothing to measure")
        return
    run.step("probe", 17, lambda: _probe(quick=options.quick))
    with Recorder(run, "nvml:0") as recorder:
        tiny = options.quick
        run.step("step", 15, lambda: _step(run, recorder, load, *((1.5, 2.0) if tiny else (4.0, 6.0))))
        run.step("steady", 12, lambda: _steady(run, recorder, load, 11.5 if tiny else 62.0))
        run.step("squares", 10, lambda: _squares(run, recorder, load, tiny=tiny))
        run.step("short", 10, lambda: _short(run, recorder, load, tiny=tiny))
    run.say("done")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--standin", action="store_true")
    return parser.parse_args()


def _on_standin() -> int:
    """Run this program again on a stand-in that behaves as an A100 is thought to."""
    from tests.conftest import ROOT, environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = ROOT / "tests" / "profilers" / "nvml_standin" / "standin.c"
        library, boards = folder / "libnvidia-ml.so.1", folder / "boards.txt"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-lm", "-lpthread"], check=True)
        lines = (
            f"origin {time.monotonic()}",
            "board GPU-1",
            "name NVIDIA H100 (stand-in)",
            "cc 9 0",
            "power 75",
            "period 0.1012",
            "window 0.025",
            "tick 0.02",
        )
        boards.write_text("\n".join(lines) + "\n")
        env = environment(LD_LIBRARY_PATH=name, NVML_STANDIN=str(boards), PYTHONPATH=str(ROOT))
        return subprocess.run([sys.executable, "-u", "-m", "tests.benchmarks.gpu.board", *sys.argv[1:]], env=env).returncode


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    from profilers.meters.nvml.boards import machine

    found = machine()
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "board": found.boards[0].name, "driver": found.driver,
        "python": platform.python_version(), "cores": os.cpu_count(), "standin": options.standin, "quick": options.quick,
    }  # fmt: skip
    if not options.standin:
        import torch

        facts |= {"torch": str(torch.__version__), "cuda": torch.version.cuda, "cuda board": torch.cuda.get_device_name(0)}
    return facts


def _load(options: argparse.Namespace, run: Run) -> Load:
    """Choose the load with the highest power that stays below the board's limit."""
    if options.standin:
        run.report["load words"] = StandinLoad.words
        return StandinLoad()
    import pynvml

    from profilers.meters.nvml.opening import open_meter

    meter, tried = open_meter("0", "cuda:0"), []
    try:
        limit_w = pynvml.nvmlDeviceGetEnforcedPowerLimit(pynvml.nvmlDeviceGetHandleByUUID(meter.uuid)) / 1e3
    except pynvml.NVMLError as error:
        run.say(f"the power limit is unknown: {error}")
        limit_w = None
    load, idle_w = None, meter.read().power_w
    for zeros in _ZEROS:
        load = MatrixProducts(zeros, size=None if load is None else load.size)
        load.until(time.monotonic() + 0.7)
        reading, conditions = meter.read(), meter.conditions()
        power_w = reading.power_w or reading.average_power_w
        tried.append({"load": load.words, "power_w": power_w, **asdict(conditions)})
        if power_w is None or limit_w is None or power_w <= _OF_LIMIT * limit_w:
            break
    meter.close()
    assert load is not None
    run.report |= {"loads tried": tried, "limit_w": limit_w, "idle_w before": idle_w, "load words": load.words}
    return load


def _probe(*, quick: bool) -> dict[str, Any]:
    """Let `ecosel devices --probe` identify the sensors of the first device with its own load."""
    from profilers.cli.devices import PROBE_S, survey
    from profilers.meters.nvml.boards import machine

    found = asdict(next(iter(survey(machine(), 4.0 if quick else PROBE_S))))
    return {name: value for name, value in found.items() if name not in ("board", "scope")}


def _step(run: Run, recorder: Recorder, load: Load, idle_s: float, load_s: float) -> dict[str, Any]:
    def work(loads: Loads) -> None:
        time.sleep(idle_s)
        loads.append(load.until(time.monotonic() + load_s))
        time.sleep(idle_s)

    recording = recorder.record("step", work)
    found = {}
    for name in ("power_w", "energy_j"):  # the square waves use periods near these
        period = identified(recording, name, None).update_period_s if recording.has(name) else None
        found[f"{name} period_s"] = None if period is None else period.value
    run.say(f"periods {found}")
    return found


def _steady(run: Run, recorder: Recorder, load: Load, load_s: float) -> dict[str, Any]:
    load_s = min(load_s, run.left_s - 6)

    def work(loads: Loads) -> None:
        time.sleep(1.5)
        loads.append(load.until(time.monotonic() + load_s))
        time.sleep(0.5)

    recorder.record("steady", work)
    return {"load_s": load_s}


def _squares(run: Run, recorder: Recorder, load: Load, *, tiny: bool) -> list[dict[str, Any]]:
    rng, wave_s = np.random.default_rng(18), 1.8 if tiny else 4.0
    waves: list[tuple[str, Any]] = [("steady", one) for one in _periods(run)]
    for place in (0, 5):
        waves.insert(place, ("random", None))
    waves = waves[:3] if tiny else waves
    done: list[dict[str, Any]] = []
    run.report["waves"] = done
    for place, (kind, period_s) in enumerate(waves):
        if run.left_s < wave_s + (5 if tiny else _SHORT_S):
            run.say(f"no time for the square waves from {kind} {period_s} on")
            break
        if kind == "random":
            drawn = np.exp(rng.uniform(np.log(0.02), np.log(0.3), 1000))
            periods_s = drawn[: int(np.searchsorted(np.cumsum(drawn), wave_s))]
        else:
            periods_s = np.full(max(1, int(wave_s / period_s)), period_s)

        def work(loads: Loads, periods_s: Any = periods_s) -> None:
            time.sleep(0.4)
            square(load, periods_s, loads)
            time.sleep(_AFTER_S)

        done.append({"recording": f"squares-{place:02}", "kind": kind, "period_s": period_s})
        run.step(f"squares-{place:02}", 1, partial(recorder.record, f"squares-{place:02}", work))
    return done


def _periods(run: Run) -> list[float]:
    """Return the periods to try, in seconds: fixed ones, and some close to the update periods that the step showed."""
    found = run.report["steps"].get("step", {}).get("found") or {}
    own = [value for value in found.values() if value is not None and value >= 0.015]
    periods: list[float] = []
    for one in (*(value * share for value in own for share in SHARES), *(ms / 1e3 for ms in PERIODS_MS)):
        if one >= 0.01 and all(abs(one / other - 1) > _ALIKE for other in periods):
            periods.append(one)
    return periods


def _short(run: Run, recorder: Recorder, load: Load, *, tiny: bool) -> list[dict[str, Any]]:
    """Measure loads of several lengths at random phases with profilers.window, while the poller records."""
    from profilers import window

    device, meter = ("cpu", "nvml:0") if isinstance(load, StandinLoad) else ("cuda:0", None)
    rng = np.random.default_rng(2)
    lengths = [0.3, 0.3, 1.0] if tiny else [length for length, count in LENGTHS.items() for _ in range(count)]
    order = rng.permutation(lengths).tolist()
    found: list[dict[str, Any]] = []
    run.report["short loads"] = found

    def work(loads: Loads) -> None:
        with window(device, meter=meter):  # keeps the sampler running
            for length_s in order:
                if run.left_s < length_s + 5:
                    run.say("no time for the remaining short loads")
                    break
                wait_until(time.monotonic() + _GAP_S + rng.uniform(0, 0.2))
                with window(device, meter=meter) as measured:
                    loads.append(load.until(time.monotonic() + length_s))
                found.append({"length_s": length_s, "ours": _ours(measured)})
            time.sleep(0.3)

    recorder.record("short", work)
    return found


def _ours(measured: Any) -> dict[str, Any]:
    ends = {"start_s": measured.start_s, "end_s": measured.end_s}
    try:
        return {
            **ends,
            "joules": measured.joules,
            "low": measured.low,
            "high": measured.high,
            "warnings": list(measured.warnings),
        }
    except Exception as error:
        return {**ends, "joules": None, "reason": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
