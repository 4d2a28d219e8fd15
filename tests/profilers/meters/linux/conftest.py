"""A machine whose files are laid out as the kernel lays them out, with a clock that moves what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from profilers.meters.linux import hwmon, opening
from profilers.meters.linux.rails import RailMeter, Supply

# One Jetson channel: its label, millivolts and milliamperes.
Monitor = Mapping[int, tuple[str, int, int]]


@dataclass
class Machine:
    """Files below a root, and numbers that change by a step each time some seconds have passed."""

    root: Path
    now_s: float = 100.0
    moving: dict[Path, tuple[int, float]] = field(default_factory=dict)  # file: (step, period in seconds)
    _moved: dict[Path, int] = field(default_factory=dict)

    def write(self, name: str, content: object) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
        return file

    def moves(self, name: str, step: int, every_s: float = 0.005) -> None:
        self.moving[self.root / name] = (step, every_s)

    def pause(self, seconds: float) -> None:
        """Let time pass: a file that moves swings by its step, or grows by it where its name says energy."""
        self.now_s += seconds
        for file, (step, every_s) in self.moving.items():
            turns = int((self.now_s - 100.0 + 1e-9) / every_s)
            gone = turns - self._moved.get(file, 0)
            if not gone:
                continue
            self._moved[file] = turns
            number = int(file.read_text())
            change = step * gone if "energy" in file.name else step * ((turns % 2) - ((turns - gone) % 2))
            file.write_text(f"{number + change}\n")

    def chip(self, number: int, name: str, address: str, files: Mapping[str, object]) -> str:
        """Make a hwmon chip whose folder links to its device, and return its folder."""
        device = self.root / "sys/devices" / address
        device.mkdir(parents=True, exist_ok=True)
        folder = f"sys/class/hwmon/hwmon{number}"
        self.write(f"{folder}/name", name)
        (self.root / folder / "device").symlink_to(device)
        for file, content in files.items():
            self.write(f"{folder}/{file}", content)
        return folder

    def ina3221(self, number: int, address: str, rails: Monitor, *, update_ms: int = 24) -> str:
        """Make a chip as JetPack 5 shows it, with its shunt voltages and sums, which are no rails."""
        files: dict[str, object] = {
            "update_interval": update_ms,
            "in7_label": "sum of shunt voltages",
            "in7_input": 760,
            "curr4_input": 9999,
        }
        for channel, (label, millivolts, milliamperes) in rails.items():
            files |= {f"in{channel}_label": label, f"in{channel}_enable": 1, f"in{channel}_input": millivolts}
            files |= {f"curr{channel}_input": milliamperes, f"in{channel + 3}_input": 190, f"shunt{channel}_resistor": 2000}
        folder = self.chip(number, "ina3221", address, files)
        for channel in rails:
            self.moves(f"{folder}/curr{channel}_input", 1, every_s=update_ms / 1e3)
        return folder

    def open(self, supply: Supply) -> RailMeter:
        return RailMeter(supply, clock=lambda: self.now_s, pause=self.pause)

    def hwmon(self, which: str) -> RailMeter:
        return self.open(hwmon.supply(which, self.root))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine that the meters' own way of opening sees too, in its time."""
    made = Machine(tmp_path)
    monkeypatch.setattr(opening, "ROOT", tmp_path)
    monkeypatch.setattr(opening, "RailMeter", made.open)
    return made


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes a command `vcgencmd` of the lines of a shell script, the only one on the path but the shell's."""

    def make(lines: str) -> None:
        file = tmp_path / "bin/vcgencmd"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{lines}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:/usr/bin:/bin")

    return make
