"""Read power and energy from meters: NVML, RAPL, edge boards through Linux, a recorded trace, a declared constant.

A meter is found by an entry point of the group `ecosel.meters`: its name is the first word of `--meter NAME:REST`, its object a
function (rest, device) -> PowerMeter, which raises MeterError if the meter is missing and ValueError for a wrong spec.
Another package may add one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from profilers.errors import MeterError
from profilers.meters.base import Capabilities

if TYPE_CHECKING:
    from profilers.meters.base import PowerMeter

GROUP = "ecosel.meters"

# The entry points of pyproject.toml, for a checkout that is not installed.
OURS = {
    "nvml": "profilers.meters.nvml.opening:open_meter",
    "rapl": "profilers.meters.rapl:open_meter",
    "hwmon": "profilers.meters.linux.opening:open_hwmon",
    "scmi": "profilers.meters.linux.opening:open_scmi",
    "battery": "profilers.meters.linux.opening:open_battery",
    "pmic": "profilers.meters.linux.opening:open_pmic",
    "replay": "profilers.meters.replay:open_meter",
    "constant": "profilers.meters.constant:open_meter",
}
_SPECS = "nvml, nvml:INDEX-or-UUID, rapl, rapl:FOLDER, hwmon:NAME[/LABEL], scmi, battery, pmic, replay:FILE or constant:WATTS"


@dataclass(frozen=True, slots=True)
class NoMeter:
    """The reason why there is no meter, as printed beside a null energy."""

    reason: str

    @property
    def name(self) -> str:
        return "none"

    def capabilities(self) -> Capabilities:
        return Capabilities(power=False, average_power=False, energy=False)


def find_meter(spec: str | None, device: str) -> PowerMeter | NoMeter:
    """Open the named meter, or the one of a device ("cpu", "cuda", "cuda:1").

    Without a spec, a missing meter gives NoMeter; with a spec, it raises MeterError.
    Raises ValueError for an invalid spec.
    """
    if spec is not None:
        return _named(spec, device)
    usual = "nvml" if device.partition(":")[0] == "cuda" else "rapl" if device == "cpu" else None
    if usual is None:
        return NoMeter(f"no meter is known for device {device}; --meter constant:WATTS assumes a power")
    try:
        return _named(usual, device)
    except MeterError as error:
        reasons = [str(error)]
    from profilers.meters.linux.opening import default_meter

    found = default_meter(device)
    if not isinstance(found, tuple):
        return found
    return NoMeter("; ".join([*reasons, *found, "--meter constant:WATTS assumes a power"]))


def _named(spec: str, device: str) -> PowerMeter:
    kind, colon, rest = spec.partition(":")
    if not kind or (colon and not rest):
        raise ValueError(f"{spec!r} is not a meter; there are {_SPECS}")
    return _opener(kind, spec)(rest, device)


def _opener(kind: str, spec: str) -> Callable[[str, str], PowerMeter]:
    """Load the entry point of a kind; the built-in ones need no installation, and other packages cannot replace them."""
    points = [EntryPoint(kind, OURS[kind], GROUP)] if kind in OURS else list(entry_points(group=GROUP, name=kind))
    if not points:
        others = sorted({point.name for point in entry_points(group=GROUP)} - OURS.keys())
        raise ValueError(f"{spec!r} is not a meter; there are {', '.join([*others, _SPECS])}")
    if len({point.value for point in points}) > 1:
        raise MeterError(f"several packages provide a meter {kind}: {', '.join(point.value for point in points)}; remove one")
    try:
        opener: Callable[[str, str], PowerMeter] = points[0].load()
    except (ImportError, AttributeError) as error:
        raise MeterError(f"the meter {kind} ({points[0].value}) cannot be loaded: {error}; reinstall its package") from error
    return opener
