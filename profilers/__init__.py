"""Measure a saved model on a device: accuracy, time, size, and energy per inference with its error.

The rooms, in the order of the flow:

- meters: read watts or joules now (NVML, RAPL, a recording, a declared constant), and find the meter of a device
- energy: sample a meter, and turn readings and windows into joules per image with an interval
- datasets: load labelled images
- models: open a saved model as a module that can be called
- logs: read logs of power, and turn windows of them into joules
- results: the profile of a model, as a record, an archive row and text
- inference: run a module over its batches, score its outputs, look at it closely
- measuring: reserve a device, prepare, warm up, measure, sweep
- cli: the commands `profile`, `energy` and `devices`
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profilers.live import Measured, window

__all__ = ["Measured", "window"]


def __getattr__(name: str) -> Any:
    """Load the library only when it is asked for: `import profilers` stays light (PEP 562)."""
    if name in __all__:
        from profilers import live

        return getattr(live, name)
    raise AttributeError(f"module 'profilers' has no attribute {name!r}")
