"""Measure a saved model on a device: accuracy, time, size, and energy per inference with its error.

The rooms, in the order of the flow:

- meters: read watts or joules now (NVML, RAPL, edge boards, a recording, a declared constant); find the meter of a device
- machine: this process's share of the processors, and the child processes that it starts
- energy: readings and windows -> joules per image with an interval; sampling a meter, sensor behind a meter
- datasets: load labelled images
- models: open a saved model as a module that can be called
- logs: read power logs, and turn windows of them into joules
- results: the profile of a model, as a record, an archive row and text
- inference: run a module over its batches, score its outputs, examine it more closely; flops
- measuring: reserve a device, prepare, warm up, measure; several models or settings
- runtimes: run a saved model with PyTorch or ONNX Runtime
- variants: make smaller variants of a model, and compare them with it
- live, library: measure a block of code, a callable or a module from Python
- cli: the commands `profile`, `energy`, `devices` and `compress`

From Python, or in a notebook: `from profilers import measure_module, measure_callable, window`.
"""

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime 1.32 otherwise keeps records of its use in the user's cache and the folder for temporary files, to send them.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from profilers.library import Cost, measure_callable, measure_module
    from profilers.live import Measured, window
    from profilers.measuring.settings import Plan, ProfileSettings

_FACE = {
    "Cost": "profilers.library",
    "measure_callable": "profilers.library",
    "measure_module": "profilers.library",
    "Measured": "profilers.live",
    "window": "profilers.live",
    "Plan": "profilers.measuring.settings",
    "ProfileSettings": "profilers.measuring.settings",
}
__all__ = ["Cost", "Measured", "Plan", "ProfileSettings", "measure_callable", "measure_module", "window"]


def __getattr__(name: str) -> Any:
    """Load the library only when it is asked for: `import profilers` stays light (PEP 562)."""
    if name not in _FACE:
        raise AttributeError(f"module 'profilers' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FACE[name]), name)
