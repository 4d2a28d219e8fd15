"""Turn --executor and --devices into an executor (concurrent.futures) and the number of jobs it runs at once."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evolver.errors import EvolverError
from evolver.workers.pool import cpu_slots, local_executor
from profilers.machine.child import DeviceSlot
from profilers.machine.processor import cores

if TYPE_CHECKING:
    from profilers.meters.nvml.boards import Machine

# A cluster takes a moment to hand out a job, so this many more jobs than it can run are kept waiting there.
_AHEAD = 0.1
_CONNECT_S = 10


@dataclass(frozen=True, slots=True)
class Engine:
    """The place where jobs run. capacity and devices are queried repeatedly, as a cluster grows and shrinks."""

    name: str
    executor: Executor
    capacity: Callable[[], int]
    close: Callable[[], None]  # ends all of our jobs there, at once
    devices: Callable[[], tuple[str, ...]]  # a description, for people and for provenance
    places: tuple[str, ...] = ()  # "cpu" and UUIDs, only of this machine


def open_engine(executor: str | None, *, devices: str, workers: int | None, reproducible: bool = False) -> Engine:
    """Open the engine named by --executor; None: child processes on this machine's --devices, --workers on each.

    Raises ValueError for a wrong name, EvolverError if it cannot be reached.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers is {workers}; there must be at least 1")
    if executor is None:
        return _local(local_slots(devices, workers, reproducible=reproducible))
    if executor.endswith(".json") or executor.startswith("dask:"):
        return _dask(executor)
    module, _, factory = executor.partition(":")
    if not module or not factory:
        raise ValueError(f"--executor is {executor!r}; it must be dask:ADDRESS, a scheduler.json or module:factory")
    return _named(executor, module, factory, workers)


def local_slots(devices: str, workers: int | None, *, reproducible: bool = False) -> list[DeviceSlot]:
    """Return the slots of this machine, `workers` on each device; devices: "auto", "cpu", or UUIDs separated by commas."""
    named = [device.strip() for device in devices.split(",")]
    found = None if named == ["cpu"] else _machine()
    places = (gpus(found, os.environ) or ["cpu"]) if named == ["auto"] else [place(device, found) for device in named]
    if len(set(places)) < len(places):
        raise ValueError(f"--devices is {devices!r}; name each device only once")
    slots: list[DeviceSlot] = []
    for where in places:
        slots += cpu_slots(workers or cores()) if where == "cpu" else [DeviceSlot(where)] * (workers or 1)
    return [replace(slot, threads=1, reproducible=True) for slot in slots] if reproducible else slots


def _machine() -> Machine | None:
    from profilers.errors import MeterError
    from profilers.meters.nvml.boards import machine

    try:
        return machine()
    except MeterError:
        return None  # no driver


def gpus(machine: Machine | None, environment: Mapping[str, str]) -> list[str]:
    """Return the UUIDs of the GPUs that CUDA shows in an environment, in the order of CUDA_VISIBLE_DEVICES."""
    from profilers.errors import MeterError
    from profilers.meters.nvml.cuda import devices_of_environment

    if machine is None:
        return []
    try:
        return [device.mig_uuid or device.board.uuid for device in devices_of_environment(machine, environment)]
    except MeterError as error:
        raise EvolverError(f"{error}; name the GPUs by UUID: --devices GPU-...") from error


def place(device: str, machine: Machine | None) -> str:
    """Return "cpu" or the full UUID of the named device. Raises ValueError if it is missing; CUDA would silently show none."""
    if device == "cpu":
        return device
    if device.startswith(("GPU-", "MIG-")):
        match = gpus(machine, {"CUDA_VISIBLE_DEVICES": device})
        if match:
            return match[0]
    shown = gpus(machine, os.environ)
    if device.isdecimal() and int(device) < len(shown):
        return shown[int(device)]
    has = f"this machine has cpu and {len(shown)} GPUs" + "".join(f", {k}: {uuid}" for k, uuid in enumerate(shown))
    raise ValueError(f"--devices: there is no device {device!r}; {has}")


def _local(slots: list[DeviceSlot]) -> Engine:
    executor, lanes = local_executor(slots)

    def close() -> None:
        lanes.close()
        executor.shutdown(cancel_futures=True)

    places = [slot.device for slot in slots]
    words = tuple(f"{places.count(place)} x {place}" for place in dict.fromkeys(places))
    return Engine("local", executor, lambda: len(slots), close, lambda: words, tuple(dict.fromkeys(places)))


def _dask(address: str) -> Engine:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise EvolverError("--executor dask needs dask.distributed: pip install 'ecosel[cluster]'") from error
    where: dict[str, Any] = (
        {"scheduler_file": address} if address.endswith(".json") else {"address": address.removeprefix("dask:")}
    )
    if address.endswith(".json") and not os.path.exists(address):  # the client would wait for it forever
        raise EvolverError(f"there is no file {address}; start a scheduler first: dask scheduler --scheduler-file {address}")
    try:
        client = Client(**where, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise EvolverError(f"no Dask scheduler answers at {address} ({' '.join(str(error).split())[:200]})") from error

    def capacity() -> int:
        threads = sum(client.nthreads().values())
        return threads + max(1, int(threads * _AHEAD)) if threads else 0

    def close() -> None:
        client.close(timeout=5)

    def devices() -> tuple[str, ...]:
        hosts: Counter[str] = Counter()
        for worker, threads in client.nthreads().items():
            hosts[urlsplit(worker).hostname or worker] += threads
        return tuple(f"{threads} x {host}" for host, threads in sorted(hosts.items()))

    return Engine("dask", client.get_executor(pure=False, retries=0), capacity, close, devices)


def _named(executor: str, module: str, factory: str, workers: int | None) -> Engine:
    if workers is None:
        raise ValueError(f"--executor {executor} needs --workers N, the number of concurrent jobs")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, as a file there must not replace a package
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--executor {executor}: {error}") from error
    try:
        made = make()
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise EvolverError(f"--executor {executor} failed ({said})") from error
    if not isinstance(made, Executor):
        raise ValueError(f"--executor {executor} gave a {type(made).__name__}; it must give a concurrent.futures.Executor")
    ahead = workers + max(1, int(workers * _AHEAD))
    words = (f"{workers} x {executor}",)
    return Engine(executor, made, lambda: ahead, lambda: made.shutdown(wait=False, cancel_futures=True), lambda: words)
