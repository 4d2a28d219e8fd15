"""Find the boards behind the device names of CUDA and torch.

NVML counts boards in the order of the PCI bus and knows nothing of CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, so boards are
matched by UUID. The rules of both variables: CUDA programming guide, "CUDA Environment Variables".
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from profilers.errors import MeterError

if TYPE_CHECKING:
    from profilers.meters.nvml.boards import Board, Machine


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One device as CUDA counts them; under MIG it is an instance, and the board is its parent."""

    name: str
    board: Board
    mig_uuid: str | None = None


def cuda_devices(machine: Machine, environment: Mapping[str, str] = os.environ) -> tuple[CudaDevice, ...]:
    """Return the devices that CUDA shows in this process, in its order.

    Torch is asked if it has already opened CUDA, or if the environment alone does not determine the order.
    Raises MeterError if neither does.
    """
    uuids = _uuids_of_torch(opened=True)
    if uuids is None:
        try:
            return devices_of_environment(machine, environment)
        except MeterError:
            uuids = _uuids_of_torch(opened=False)
            if uuids is None:
                raise
    return devices_of_uuids(machine, uuids)


def device_named(name: str, devices: Sequence[CudaDevice], /) -> CudaDevice | None:
    """Find "cuda:N", or the UUID of a board or MIG instance or its beginning; None if none or several fit."""
    if name.startswith("cuda:"):
        fitting = [one for one in devices if one.name == name]
    else:
        fitting = [one for one in devices if any((uuid or "").startswith(name) for uuid in (one.board.uuid, one.mig_uuid))]
    return fitting[0] if len(fitting) == 1 else None


def board_of(device: str, machine: Machine, environment: Mapping[str, str] = os.environ) -> Board:
    """Return the board of "cuda" or "cuda:N"; raise MeterError if CUDA does not show it, ValueError for another name."""
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if found is None:
        raise ValueError(f"{device!r} is not a CUDA device; use cuda or cuda:N")
    number = int(found[1] or 0)
    devices = cuda_devices(machine, environment)
    if number >= len(devices):
        setting = environment.get("CUDA_VISIBLE_DEVICES")
        why = "" if setting is None else f" with CUDA_VISIBLE_DEVICES={setting!r}"
        raise MeterError(
            f"CUDA shows {len(devices) or 'no'} device{'s' if len(devices) != 1 else ''}{why}, so there is no {device}"
        )
    return devices[number].board


def devices_of_uuids(machine: Machine, uuids: Sequence[str]) -> tuple[CudaDevice, ...]:
    """Match the UUIDs that torch reports (without their prefix), in its order."""
    boards = {board.uuid: (board, None) for board in machine.boards}
    instances = {uuid: (board, uuid) for board in machine.boards for uuid in board.mig_uuids}
    devices = []
    for number, uuid in enumerate(uuids):
        match = boards.get(f"GPU-{uuid}") or instances.get(f"MIG-{uuid}")
        if match is None:
            raise MeterError(f"cuda:{number} has the UUID {uuid}, and NVML lists no such board")
        devices.append(CudaDevice(f"cuda:{number}", *match))
    return tuple(devices)


def devices_of_environment(machine: Machine, environment: Mapping[str, str]) -> tuple[CudaDevice, ...]:
    """Read CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER as CUDA does; raise MeterError if they do not determine the boards.

    An entry that does not exist ends the list; a repeated one empties it; "" and "-1" hide all devices.
    """
    entries = [entry.strip() for entry in environment.get("CUDA_VISIBLE_DEVICES", ",".join(_all(machine))).split(",")]
    if entries[0].startswith(("GPU-", "MIG-")):
        shown = _by_uuid(entries, machine)
    else:
        numbers = _numbers(entries, len(machine.boards))
        ordered = _in_order_of_cuda(machine, environment) if numbers else ()
        shown = [(ordered[number], None) for number in numbers]
    if len(shown) > 1 and any(board.mig_mode and instance is None for board, instance in shown):
        raise MeterError("it is unknown which MIG instance CUDA shows; name it in CUDA_VISIBLE_DEVICES (MIG-...)")
    return tuple(CudaDevice(f"cuda:{number}", board, instance) for number, (board, instance) in enumerate(shown))


def _all(machine: Machine) -> list[str]:
    return [str(number) for number in range(len(machine.boards))]


def _in_order_of_cuda(machine: Machine, environment: Mapping[str, str]) -> Sequence[Board]:
    if machine.problems:
        raise MeterError(f"it is unknown which board is which CUDA device: {'; '.join(machine.problems)}")
    if environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID" and len({board.name for board in machine.boards}) > 1:
        raise MeterError(
            "it is unknown which board is which CUDA device: the boards differ and CUDA puts the fastest first; "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name boards by UUID in CUDA_VISIBLE_DEVICES"
        )
    return machine.boards


def _numbers(entries: Sequence[str], count: int) -> list[int]:
    """Read indices as strtoul does: "1gpu" is 1, and an entry without a leading number ends the list."""
    numbers: list[int] = []
    for entry in entries:
        digits = re.match(r"[+-]?\d+", entry)
        number = int(digits[0]) if digits else -1
        if number in numbers:
            return []
        if number < 0:
            break
        numbers.append(number)
    valid = [number < count for number in numbers]
    return numbers[: valid.index(False)] if False in valid else numbers


def _by_uuid(entries: Sequence[str], machine: Machine) -> list[tuple[Board, str | None]]:
    """Match UUIDs or their beginnings; a beginning shared by two boards matches none."""
    kind = entries[0][:4]
    known: dict[str, tuple[Board, str | None]] = {}
    for board in machine.boards:
        known |= {board.uuid: (board, None)} if kind == "GPU-" else {uuid: (board, uuid) for uuid in board.mig_uuids}
    named = list(takewhile(lambda entry: entry.startswith(kind), entries))
    if len(set(named)) < len(named):
        return []
    shown: list[tuple[Board, str | None]] = []
    for entry in named:
        matches = [match for uuid, match in known.items() if uuid.startswith(entry)]
        matches = matches or [(board, entry) for board in machine.boards if entry.startswith(f"MIG-{board.uuid}/")]
        if len(matches) != 1:  # MIG-GPU-.../1/0 above is the form of instances in drivers before 470
            break
        if matches[0] in shown:
            return []
        shown += matches
    return shown


def _uuids_of_torch(*, opened: bool) -> tuple[str, ...] | None:
    """Return the UUIDs of torch's CUDA devices, or None if it has none; with opened, only if CUDA is open already."""
    if opened and "torch" not in sys.modules:
        return None
    try:
        import torch
    except ImportError:
        return None
    if not (torch.cuda.is_initialized() if opened else torch.cuda.is_available()):
        return None
    return tuple(str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count()))
