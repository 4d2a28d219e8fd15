"""Query NVML for numbers in SI units, each with the driver's time stamp, or an error in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

from profilers.meters.nvml.boards import described

# A driver without a number may also return all ones; no board draws or counts this much.
_BELIEVABLE_W = 20_000.0
_BELIEVABLE_J = 1e15
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # members of the value, by nvmlValueType_t


@dataclass(frozen=True, slots=True)
class FieldSource:
    """One way to query a number: a field at a scope, or a function of the handle."""

    words: str
    field: int = 0
    module: bool = False
    function: str = ""


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """The answer of one source, in mW or mJ, or the error."""

    number: float | None
    stamp_s: float | None = None  # seconds on the driver's clock
    error: str | None = None

    def watts(self, warnings: list[str], /) -> float | None:
        """Return the power; numbers that no board draws, including 0, become a warning instead."""
        if self.number is None:
            return None
        power_w = self.number / 1e3
        if math.isfinite(power_w) and 0 < power_w < _BELIEVABLE_W:
            return power_w
        warnings.append(f"power-unbelievable: the board says {self.number:.0f} mW")
        return None

    def joules(self) -> float | None:
        """Return the counter; NaN if it is implausible, None if there is an error instead."""
        if self.number is None:
            return None
        return self.number / 1e3 if 0 < self.number / 1e3 < _BELIEVABLE_J else math.nan


INSTANT = FieldSource("instant power", pynvml.NVML_FI_DEV_POWER_INSTANT)
AVERAGE = FieldSource("average power", pynvml.NVML_FI_DEV_POWER_AVERAGE)
MODULE_INSTANT = FieldSource("instant power of the module", pynvml.NVML_FI_DEV_POWER_INSTANT, module=True)
MODULE_AVERAGE = FieldSource("average power of the module", pynvml.NVML_FI_DEV_POWER_AVERAGE, module=True)
USAGE = FieldSource("nvmlDeviceGetPowerUsage", function="nvmlDeviceGetPowerUsage")
COUNTERS = (
    FieldSource("energy counter", pynvml.NVML_FI_DEV_ENERGY),
    FieldSource("total energy consumption", pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION),
    FieldSource("nvmlDeviceGetTotalEnergyConsumption", function="nvmlDeviceGetTotalEnergyConsumption"),
    FieldSource("energy counter of the module", pynvml.NVML_FI_DEV_ENERGY, module=True),
)


class FieldQuery:
    """Several sources queried together: the fields in one call, each function in its own."""

    def __init__(self, sources: Sequence[FieldSource]) -> None:
        self.sources = tuple(sources)
        fields = [source for source in sources if source.field]
        self._template = (pynvml.c_nvmlFieldValue_t * len(fields))()
        for value, source in zip(self._template, fields, strict=True):
            value.fieldId = source.field
            value.scopeId = pynvml.NVML_POWER_SCOPE_MODULE if source.module else pynvml.NVML_POWER_SCOPE_GPU

    def ask(self, handle: Any) -> list[FieldAnswer]:
        """Return one answer per source, in order."""
        fields = iter(self._ask_fields(handle) if len(self._template) else ())
        return [next(fields) if source.field else _ask_function(handle, source.function) for source in self.sources]

    def errors(self, answers: Sequence[FieldAnswer]) -> list[str]:
        """Name every source that answered with an error."""
        return [f"{source.words}: {answer.error}" for source, answer in zip(self.sources, answers, strict=True) if answer.error]

    def _ask_fields(self, handle: Any) -> list[FieldAnswer]:
        # A copy costs less than filling a new array, and two threads may query at once.
        values = type(self._template).from_buffer_copy(self._template)
        try:
            # pynvml.nvmlDeviceGetFieldValues would make and fill the array at every call.
            code = pynvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")(handle, len(values), values)
        except pynvml.NVMLError as error:
            code = error.value
        if code != pynvml.NVML_SUCCESS:
            error_words = described(pynvml.NVMLError(code), "nvmlDeviceGetFieldValues")
            return [FieldAnswer(None, error=error_words) for _ in values]
        return [_field_answer(value) for value in values]


def _field_answer(value: Any) -> FieldAnswer:
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        return FieldAnswer(None, error=described(pynvml.NVMLError(value.nvmlReturn), f"field {value.fieldId}"))
    if not 0 <= value.valueType < len(_MEMBERS):
        return FieldAnswer(None, error=f"a value of unknown type {value.valueType} (field {value.fieldId})")
    number = float(getattr(value.value, _MEMBERS[value.valueType]))
    return FieldAnswer(number, value.timestamp / 1e6 if value.timestamp > 0 else None)


def _ask_function(handle: Any, function: str) -> FieldAnswer:
    try:
        return FieldAnswer(float(getattr(pynvml, function)(handle)))
    except pynvml.NVMLError as error:
        return FieldAnswer(None, error=described(error, function))
