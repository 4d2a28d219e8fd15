"""Meters of power and energy: NVML, RAPL, a recorded trace, a declared constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profilers.errors import MeterError
from profilers.meters.base import Capabilities

if TYPE_CHECKING:
    from profilers.meters.base import PowerMeter
    from profilers.meters.nvml.boards import Board

_SPECS = "nvml, nvml:INDEX-or-UUID, rapl, replay:FILE or constant:WATTS"


@dataclass(frozen=True, slots=True)
class NoMeter:
    """Why there is no meter, in the words that outputs print beside a null energy."""

    reason: str

    @property
    def name(self) -> str:
        return "none"

    def capabilities(self) -> Capabilities:
        return Capabilities(power=False, average_power=False, energy=False)


def find_meter(spec: str | None, device: str) -> PowerMeter | NoMeter:
    """Open the meter that somebody names, or the one that a device ("cpu", "cuda", "cuda:1") has.

    A spec is nvml (the board of the device), nvml:INDEX-or-UUID (any board; the index is nvidia-smi's), rapl, replay:FILE or
    constant:WATTS. Without a spec a missing meter is NoMeter; one that was asked for by name and is missing is a MeterError.
    Raises ValueError for a spec that is none.
    """
    if spec is not None:
        return _named(spec, device)
    try:
        if device.partition(":")[0] == "cuda":
            return _nvml("", device)
        if device == "cpu":
            return _named("rapl", device)
        reason = f"no meter is known for the device {device}"
    except MeterError as error:
        reason = str(error)
    return NoMeter(f"{reason}; --meter constant:WATTS assumes a power")


def _named(spec: str, device: str) -> PowerMeter:
    kind, colon, rest = spec.partition(":")
    if kind == "nvml" and (rest or not colon):
        return _nvml(rest, device)
    if spec == "rapl":
        from profilers.meters.rapl import RaplMeter

        return RaplMeter()
    if kind == "replay" and rest:
        from profilers.meters.replay import ReplayMeter

        return ReplayMeter(rest)
    if kind == "constant" and rest:
        from profilers.meters.constant import ConstantMeter

        try:
            power_w = float(rest)
        except ValueError:
            raise ValueError(f"{spec!r}: constant:WATTS takes a number of watts, such as constant:65") from None
        return ConstantMeter(power_w)
    raise ValueError(f"{spec!r} is no meter; there are {_SPECS}")


def _nvml(which: str, device: str) -> PowerMeter:
    from profilers.meters.nvml.boards import machine
    from profilers.meters.nvml.cuda import board_of
    from profilers.meters.nvml.meter import NvmlMeter

    if not which and device.partition(":")[0] != "cuda":
        raise ValueError(f"nvml measures a CUDA device and the run is on {device}; name the board to read, such as nvml:0")
    found = machine()
    return NvmlMeter(_board(which, found.boards) if which else board_of(device, found))


def _board(which: str, boards: tuple[Board, ...]) -> Board:
    """Find a board by nvidia-smi's index, by its UUID or the UUID of a MIG instance, or by the beginning of one."""
    matches = [
        board
        for board in boards
        if (which == str(board.index) if which.isdigit() else any(u.startswith(which) for u in (board.uuid, *board.mig_uuids)))
    ]
    if len(matches) != 1:
        known = ", ".join(f"{board.index} {board.uuid} ({board.name})" for board in boards) or "none"
        raise MeterError(f"nvml:{which} names {'no board' if not matches else 'several boards'}; there are: {known}")
    return matches[0]
