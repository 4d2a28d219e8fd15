"""List the boards that NVML knows: UUID, name, place on the bus, MIG instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from profilers.errors import MeterError

T = TypeVar("T")

_NO_LIBRARY = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver on this machine",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated, but the old one is still running; reboot",
}


@dataclass(frozen=True, slots=True)
class Board:
    """One board as NVML knows it; `index` follows the order of the PCI bus, whatever CUDA calls the board."""

    index: int
    uuid: str
    name: str
    bus: str
    mig_mode: bool
    mig_uuids: tuple[str, ...] = ()

    @property
    def shared(self) -> str | None:
        """State whose power the board's reading includes under MIG."""
        if not self.mig_mode:
            return None
        count = len(self.mig_uuids)
        return "shared by its MIG instances" if count == 0 else f"shared by {count} MIG instance{'s' if count > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Machine:
    """The boards of a machine; `problems` names those that NVML would not describe."""

    driver: str
    boards: tuple[Board, ...]
    problems: tuple[str, ...] = ()


def described(error: pynvml.NVMLError, function: str) -> str:
    """Describe an NVML error."""
    return f"{error} ({function})"


def ask(function: Callable[..., T], *arguments: Any) -> T:
    """Call NVML; its errors become a MeterError that names the call."""
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        plain = _NO_LIBRARY.get(error.value)
        raise MeterError(plain or f"NVML: {described(error, function.__name__)}") from error


@contextmanager
def library() -> Iterator[None]:
    """Hold NVML open."""
    ask(pynvml.nvmlInit)
    try:
        yield
    finally:
        with suppress(pynvml.NVMLError):  # readings stay valid, and nothing is left to close
            pynvml.nvmlShutdown()


def machine() -> Machine:
    """List the boards; raise MeterError if there is no working driver."""
    with library():
        boards, problems = [], []
        for index in range(ask(pynvml.nvmlDeviceGetCount)):
            try:
                board, problem = _board(index)
            except MeterError as error:
                problems.append(f"board {index}: {error}")
                continue
            boards.append(board)
            problems += [] if problem is None else [f"board {index}: {problem}"]
        return Machine(_or_else("unknown", pynvml.nvmlSystemGetDriverVersion), tuple(boards), tuple(problems))


def _board(index: int) -> tuple[Board, str | None]:
    handle = ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    uuid = ask(pynvml.nvmlDeviceGetUUID, handle)
    name = _or_else("unnamed board", pynvml.nvmlDeviceGetName, handle)
    pci = _or_else(None, pynvml.nvmlDeviceGetPciInfo, handle)
    bus = "unknown" if pci is None else str(pci.busId)
    mig_mode, mig_uuids, problem = False, tuple[str, ...](), None
    try:
        mig_mode = pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
        mig_uuids = tuple(_mig_uuids(handle)) if mig_mode else ()
    except pynvml.NVMLError as error:
        if mig_mode or error.value not in (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND):
            problem = f"it is unknown whether MIG instances share it: NVML: {error}"
    return Board(index, uuid, name, bus, mig_mode, mig_uuids), problem


def _mig_uuids(handle: Any) -> Iterator[str]:
    for place in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_NOT_FOUND:  # slots without an instance
                continue
            raise
        yield pynvml.nvmlDeviceGetUUID(instance)


def _or_else(otherwise: T, function: Callable[..., T], *arguments: Any) -> T:
    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return otherwise
