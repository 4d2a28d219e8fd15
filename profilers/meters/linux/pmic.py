"""Use `vcgencmd pmic_read_adc` of a Raspberry Pi 5 as a meter, adding up the rails with both a current and a voltage."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Sequence

from profilers.errors import MeterError
from profilers.meters.linux.rails import Missing, Rail, Supply

COMMAND = ("vcgencmd", "pmic_read_adc")
_TIMEOUT_S = 2.0
_LINE = re.compile(r"\s*(\w+)_(?:A\s+current|V\s+volt)\(\d+\)=([-+.\deE]+)([AV])\s*")


def supply(command: Sequence[str] = COMMAND) -> Supply:
    """Find the rails that can be added up; raise MeterError if the command is missing or lists none."""
    if shutil.which(command[0]) is None:
        raise Missing(f"no PMIC of a Raspberry Pi 5 here: the command {command[0]} is not installed")
    amperes, volts = _ask(command)
    rails = sorted(amperes.keys() & volts.keys())
    if not rails:
        raise MeterError(f"`{' '.join(command)}` lists no rail with a current and a voltage; a Raspberry Pi 5 has twelve")
    half = sorted(amperes.keys() ^ volts.keys())
    apart = f", nor are {', '.join(half)}" if half else ""
    return Supply(
        name="pmic",
        uuid="cpu",
        scope=f"sum of {len(rails)} PMIC rails; the 5 V input and the USB ports are not metered{apart}",
        rails=(Rail("PMIC", power_w=lambda: _watts(command, rails)),),
        notes=("currents and voltages are read one after another",),
    )


def _watts(command: Sequence[str], rails: Sequence[str]) -> float:
    amperes, volts = _ask(command)
    missing = [rail for rail in rails if rail not in amperes or rail not in volts]
    if missing:
        raise MeterError(f"`{' '.join(command)}` did not list {', '.join(missing)}")
    return sum(amperes[rail] * volts[rail] for rail in rails)


def _ask(command: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Run the command and pair its lines by name, as they come in any order."""
    said = f"`{' '.join(command)}`"
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise MeterError(f"{said} gave no answer within {_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise MeterError(f"{said} cannot be run: {error.strerror}") from error
    if done.returncode or "error=" in done.stdout:
        words = " ".join((done.stderr or done.stdout).split())[:200]
        raise MeterError(f"{said} failed: {words or f'status {done.returncode}'}; it may need the group video, or root")
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for line in done.stdout.splitlines():
        if (match := _LINE.fullmatch(line)) is None:
            continue
        rail, text, unit = match.groups()
        try:
            number = float(text)
        except ValueError:
            continue
        if math.isfinite(number):
            (amperes if unit == "A" else volts)[rail] = number
    return amperes, volts
