"""Turn what --executor and --devices name into an executor (concurrent.futures) and the number of jobs it runs at once."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from evolver.errors import EvolverError
from evolver.lane import Slot
from evolver.workers import cores, cpu_slots, local_executor

# A cluster takes a moment to hand out a job: so many more than it can run are kept waiting there.
_AHEAD = 0.1
_CONNECT_S = 10


@dataclass(frozen=True, slots=True)
class Engine:
    """Where jobs run. capacity is asked again and again: a cluster grows and shrinks."""

    name: str
    executor: Executor
    capacity: Callable[[], int]
    close: Callable[[], None]  # ends all that runs there for us, at once
    devices: tuple[str, ...]  # in words, for people and for provenance
    places: tuple[str, ...] = ()  # "cpu" and UUIDs, of this machine only


def open_engine(executor: str | None, *, devices: str, workers: int | None) -> Engine:
    """Open the engine that --executor names; None: child processes on this machine, on --devices, --workers on each.

    Raises ValueError for a wrong name, EvolverError where it cannot be reached.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers is {workers}; there must be at least 1")
    if executor is None:
        return _local(devices, workers)
    if executor.endswith(".json") or executor.startswith("dask:"):
        return _dask(executor)
    module, _, factory = executor.partition(":")
    if not module or not factory:
        raise ValueError(f"--executor is {executor!r}; it must be dask:ADDRESS, a scheduler.json or module:factory")
    return _named(executor, module, factory, workers)


def local_slots(devices: str, workers: int | None) -> list[Slot]:
    """Return the slots of this machine: so many workers on each device; devices: "auto", "cpu", or UUIDs with commas."""
    named = [device.strip() for device in devices.split(",")]
    if named == ["auto"]:
        named = _gpus() or ["cpu"]
    if len(set(named)) < len(named):
        raise ValueError(f"--devices is {devices!r}; a device may be named once")
    slots: list[Slot] = []
    for device in named:
        if device == "cpu":
            slots += cpu_slots(workers or cores())
        elif device.startswith(("GPU-", "MIG-")):
            slots += [Slot(device)] * (workers or 1)
        else:
            found = _gpus()
            if not device.isdecimal() or int(device) >= len(found):
                has = f"this machine has cpu and {len(found)} GPUs" + "".join(f", {k}: {uuid}" for k, uuid in enumerate(found))
                raise ValueError(f"--devices: there is no device {device!r}; {has}")
            slots += [Slot(found[int(device)])] * (workers or 1)
    return slots


def _gpus() -> list[str]:
    """Return the UUIDs of the GPUs that this process may use, in the order of CUDA_VISIBLE_DEVICES."""
    from profilers.devices import devices_of_environment
    from profilers.errors import MeterError
    from profilers.meters.boards import machine

    try:
        found = machine()
    except MeterError:
        return []  # no driver
    try:
        return [device.mig_uuid or device.board.uuid for device in devices_of_environment(found, os.environ)]
    except MeterError as error:
        raise EvolverError(f"{error}; name the GPUs by UUID: --devices GPU-...") from error


def _local(devices: str, workers: int | None) -> Engine:
    slots = local_slots(devices, workers)
    executor, lanes = local_executor(slots)

    def close() -> None:
        lanes.close()
        executor.shutdown(cancel_futures=True)

    places = [slot.device for slot in slots]
    words = tuple(f"{places.count(place)} x {place}" for place in dict.fromkeys(places))
    return Engine("local", executor, lambda: len(slots), close, words, tuple(dict.fromkeys(places)))


def _dask(address: str) -> Engine:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise EvolverError("--executor dask needs dask.distributed: pip install 'ecosel[cluster]'") from error
    where: dict[str, Any] = (
        {"scheduler_file": address} if address.endswith(".json") else {"address": address.removeprefix("dask:")}
    )
    if address.endswith(".json") and not os.path.exists(address):  # the client would wait for it for ever
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

    places = tuple(f"{threads} x {worker}" for worker, threads in sorted(client.nthreads().items()))
    return Engine("dask", client.get_executor(pure=False, retries=0), capacity, close, places)


def _named(executor: str, module: str, factory: str, workers: int | None) -> Engine:
    if workers is None:
        raise ValueError(f"--executor {executor} needs --workers N: how many jobs it runs at one time")
    try:
        made = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--executor {executor}: {error}") from error
    if not isinstance(made, Executor):
        raise ValueError(f"--executor {executor} gave a {type(made).__name__}; it must give a concurrent.futures.Executor")
    ahead = workers + max(1, int(workers * _AHEAD))
    return Engine(
        executor, made, lambda: ahead, lambda: made.shutdown(wait=False, cancel_futures=True), (f"{workers} x {executor}",)
    )
