"""Open the NVML meter of a board, given nvidia-smi's index, a UUID or its beginning, or a CUDA device."""

from __future__ import annotations

from profilers.errors import MeterError
from profilers.meters.nvml.boards import Board, machine
from profilers.meters.nvml.cuda import board_of
from profilers.meters.nvml.meter import NvmlMeter


def open_meter(rest: str, device: str) -> NvmlMeter:
    if not rest and device.partition(":")[0] != "cuda":
        raise ValueError(f"nvml measures a CUDA device, but the run is on {device}; name the board to read, such as nvml:0")
    found = machine()
    return NvmlMeter(_board(rest, found.boards) if rest else board_of(device, found))


def _board(which: str, boards: tuple[Board, ...]) -> Board:
    """Find a board by nvidia-smi's index, or by its UUID, a MIG instance's UUID, or the beginning of one."""
    matches = [
        board
        for board in boards
        if (which == str(board.index) if which.isdigit() else any(u.startswith(which) for u in (board.uuid, *board.mig_uuids)))
    ]
    if len(matches) != 1:
        known = ", ".join(f"{board.index} {board.uuid} ({board.name})" for board in boards) or "none"
        raise MeterError(f"nvml:{which} names {'no board' if not matches else 'several boards'}; there are: {known}")
    return matches[0]
