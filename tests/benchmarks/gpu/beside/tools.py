"""Drive Zeus, CodeCarbon and `profilers.window` in the same way: begin, end, and the joules of the board that each reports."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

PACKAGES = ("zeus", "codecarbon", "torch", "torchvision", "nvidia-ml-py", "numpy", "pandas")
_J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Place:
    """The device of the models, and the meter if it is not the device's own (for trying this out without a GPU)."""

    device: str = "cuda:0"
    meter: str | None = None


@dataclass(frozen=True)
class Figure:
    """The figure that a tool reports; low and high are None if it gives no interval."""

    joules: float
    low: float | None = None
    high: float | None = None


class Tool(Protocol):
    name: str

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def figure(self) -> Figure: ...


class Zeus:
    """A ZeusMonitor of the board only, with one window after another."""

    name = "zeus"

    def __init__(self, place: Place) -> None:
        self._waits = place.device != "cpu"  # with torch.cuda.synchronize
        monitor = importlib.import_module("zeus.monitor")
        self._monitor: Any = monitor.ZeusMonitor(gpu_indices=[0], cpu_indices=[])
        self._found: Any = None

    def begin(self) -> None:
        self._monitor.begin_window("loop", sync_execution=self._waits)

    def end(self) -> None:
        self._found = self._monitor.end_window("loop", sync_execution=self._waits)

    def figure(self) -> Figure:
        return Figure(float(self._found.gpu_energy[0]))


class CodeCarbon:
    """A new OfflineEmissionsTracker for each loop, as its users do; its `gpu_energy` is in kWh."""

    name = "codecarbon"

    def __init__(self, place: Place) -> None:
        self._make: Any = importlib.import_module("codecarbon").OfflineEmissionsTracker
        self._tracker: Any = None

    def begin(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about save_to_file
            self._tracker = self._make(
                country_iso_code="USA", measure_power_secs=1, tracking_mode="machine", gpu_ids=[0], save_to_file=False,
                log_level="error", allow_multiple_runs=True,
            )  # fmt: skip
        self._tracker.start()
        if getattr(self._tracker, "_start_time", None) is None:  # it suppresses its own errors
            raise RuntimeError("CodeCarbon did not start; its log names the cause at log_level='debug'")

    def end(self) -> None:
        self._tracker.stop()

    def figure(self) -> Figure:
        found = getattr(self._tracker, "final_emissions_data", None)
        if found is None:
            raise RuntimeError("CodeCarbon ended without figures; its log names the cause at log_level='debug'")
        if not any("GPU" in type(part).__name__ for part in self._tracker._hardware):
            raise RuntimeError("CodeCarbon found no GPU (it needs nvidia-smi on the PATH, and NVML)")
        return Figure(float(found.gpu_energy) * _J_PER_KWH)


class Window:
    """`profilers.window`, which gives an interval."""

    name = "window"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._measured: Any = None

    def begin(self) -> None:
        from profilers import window

        self._measured = window(self._place.device, meter=self._place.meter)

    def end(self) -> None:
        self._measured.end()

    def figure(self) -> Figure:
        one = self._measured
        return Figure(one.joules, one.low, one.high)


@contextmanager
def keep_sampling(place: Place) -> Iterator[None]:
    """Hold a window open, so that windows within it know the idle time before them; continue without it if it cannot be opened."""
    outer = Window(place)
    try:
        outer.begin()
    except Exception as error:
        print(f"no window over the series: {error}", flush=True)
    yield
    with suppress(Exception):
        outer.end()
        outer.figure()


TOOLS: dict[str, type[Zeus] | type[CodeCarbon] | type[Window]] = {tool.name: tool for tool in (Zeus, CodeCarbon, Window)}


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def stand_by_for_codecarbon() -> str | None:
    """Put an nvidia-smi that does nothing on the PATH if there is none; return a note about it.

    CodeCarbon only checks whether `nvidia-smi --help` runs; its readings come from NVML.
    """
    if shutil.which("nvidia-smi"):
        return None
    folder = Path(tempfile.mkdtemp())
    script = folder / "nvidia-smi"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    return "nvidia-smi was missing; CodeCarbon was given one that does nothing, as it reads NVML but asks for that program"


_COLD = """
import importlib, json, sys, time
begin_s = time.perf_counter()
importlib.import_module(sys.argv[2])
from tests.benchmarks.gpu.beside.tools import TOOLS, Place
imported_s = time.perf_counter()
tool = TOOLS[sys.argv[1]](Place(*json.loads(sys.argv[3])))
tool.begin()
print(json.dumps([imported_s - begin_s, time.perf_counter() - imported_s]))
"""
_MODULES = {"zeus": "zeus.monitor", "codecarbon": "codecarbon", "window": "profilers.live"}


def cold_start(name: str, place: Place, /, *, timeout_s: float = 40.0) -> dict[str, Any]:
    """Start a tool in a fresh process; return the seconds to import it, and from its constructor to a running measurement."""
    arguments = json.dumps([place.device, place.meter])
    begin_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _COLD, name, _MODULES[name], arguments], capture_output=True, text=True, timeout=timeout_s
    )
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(done.stderr.strip()[-2000:] or f"status {done.returncode}")
    import_s, ready_s = json.loads(done.stdout.strip().splitlines()[-1])
    return {"tool": name, "import_s": import_s, "ready_s": ready_s, "process_s": time.perf_counter() - begin_s}
