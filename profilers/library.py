"""Measure a module in memory over its inputs, or any callable, from Python or a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from profilers.energy.intervals import Estimate
from profilers.energy.per_image import Energy, derive, time_per_image
from profilers.machine.processor import load_of_others
from profilers.measuring.device import Device, reserve, rest
from profilers.measuring.measurement import Load, Measurement, measure
from profilers.measuring.settings import Plan
from profilers.meters.rapl import processor_name
from profilers.progress import progress_bar
from profilers.results.units import si

if TYPE_CHECKING:
    from torch.nn import Module

    from profilers.inference.batches import Batch


@dataclass(frozen=True)
class Cost:
    """Time and energy per image, or per call, with 95 % intervals; `reasons` explains every None."""

    time_s: Estimate
    energy: Energy
    device: str
    ended_by: str
    what: str = "image"
    parameters: int | None = None
    flops: int | None = None  # per image; a multiply-add counts as two
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        joules = self.energy.per_inference
        lines = [
            f"on {self.device}",
            f"{si(self.time_s.value, 's')}{_around(self.time_s)} a{'n' * (self.what[0] in 'aeiou')} {self.what}",
        ]
        if joules is not None:
            assumed = ", assumed, not measured" if (self.energy.source or "").startswith("constant") else ""
            lines.append(f"{si(joules.value, 'J')}{_around(joules)} ({self.energy.source}{assumed})")
        if self.parameters is not None:
            lines.append(f"{self.parameters:,} parameters")
        if self.flops is not None:
            lines.append(f"{si(self.flops, '')} FLOPs")
        lines += [f"Not measured: {reason}." for reason in (*self.reasons, *self.energy.reasons)]
        invalid = (f"not valid for ranking: {self.energy.invalid}",) if self.energy.invalid else ()
        lines += [f"Note: {warning}." for warning in (*invalid, *self.energy.warnings, *self.warnings)]
        return "\n".join([*lines, f"Measured until {self.ended_by}."])

    __repr__ = __str__


def measure_module(
    module: Module, inputs: Any, /, *, batch_size: int = 100, meter: str | None = None, plan: Plan | None = None,
    seed: int = 0, progress: bool = True,
) -> Cost:  # fmt: skip
    """Measure a torch module on its device, in evaluation mode, over a pass of its inputs; the module is left unchanged.

    Inputs are a tensor or array [n, ...], a tuple (by position) or dict (by name) of them, or a list of batches of these.
    Without a plan it takes 3 to 10 seconds. Raises ProfilerError if the module cannot be run, ValueError for wrong arguments.
    """
    import torch

    from profilers.inference.running import TorchInference
    from profilers.models.parameters import count_parameters
    from profilers.runtimes.pytorch import find_device

    tensor = next(iter([*module.parameters(), *module.buffers()]), None)
    place = find_device("cpu" if tensor is None else str(tensor.device))
    training = {one: one.training for one in module.modules()}
    try:
        module.eval()
        inference = TorchInference(module, _batches(inputs, batch_size), device=torch.device(place.code), mode="paper", seed=seed)
        inference.try_out()
        found, energy = _measured(inference, place, meter=meter, plan=plan, seed=seed, progress=progress)
        counted = count_parameters(module)
        flops, no_flops = inference.flops()
    finally:
        for one, mode in training.items():
            one.training = mode
    reasons = [f"{name}: {reason}" for name, reason in (("parameters", counted.reason), ("flops", no_flops)) if reason]
    notes = ("the module was in training mode, and was measured in evaluation mode",) if any(training.values()) else ()
    return Cost(
        time_per_image(found.marks.groups), energy, place.name, found.ended_by, "image", counted.total, flops,
        tuple(reasons), (*notes, *inference.notes, *_busy(found, place)),
    )  # fmt: skip


def measure_callable(
    work: Callable[[], object],
    /,
    *,
    images: int = 1,
    device: str = "cpu",
    meter: str | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Cost:
    """Measure any callable without arguments that returns when its work is done; one call handles `images` images.

    If the work runs on a device other than the processor, `work` must wait for it; torch finds the device.
    """
    if images < 1:
        raise ValueError(f"images is {images}; one call must handle at least 1")
    place, load = _place(device), _Calls(work, images)
    load.run(1)
    found, energy = _measured(load, place, meter=meter, plan=plan, seed=seed, progress=progress)
    what = "call" if images == 1 else "image"
    return Cost(time_per_image(found.marks.groups), energy, place.name, found.ended_by, what, warnings=_busy(found, place))


def _measured(
    load: Load, place: Device, /, *, meter: str | None, plan: Plan | None, seed: int, progress: bool
) -> tuple[Measurement, Energy]:
    plan, rng = plan or Plan.quick(), np.random.default_rng(seed)
    with progress_bar(progress) as show, reserve(place, meter=meter, plan=plan, show=show) as device:
        load.run(1)
        warm = rest(device.sampler, plan, "idle power with the model", show)
        found = measure(load, device.sampler, plan, rng=rng, show=show, idle_cold=device.idle, idle_warm=warm)
        return found, derive(device.sampler.trace(), found.marks, no_meter=device.no_meter)


class _Calls:
    """A load that calls the callable."""

    batches = 1

    def __init__(self, work: Callable[[], object], images: int) -> None:
        self._work, self._images = work, images

    def ready(self, batches: int, /) -> int:
        return batches

    def run(self, batches: int, /) -> int:
        for _ in range(batches):
            self._work()
        return batches * self._images


def _place(device: str) -> Device:
    if device == "cpu":
        return Device("cpu", f"{processor_name()}, {os.cpu_count()} processors", "cpu")
    from profilers.runtimes.pytorch import find_device

    return find_device(device)


def _busy(found: Measurement, place: Device) -> tuple[str, ...]:
    known = [group.lost for group in found.marks.groups if group.lost is not None]
    if not known or place.code != "cpu" or (lost := float(np.mean(known))) <= 0.02:
        return ()
    return (f"the machine was busy: other processes took {lost:.1%} of the processor time needed ({load_of_others()})",)


def _around(estimate: Estimate) -> str:
    return f" ± {estimate.relative:.2%}" if np.isfinite(estimate.relative) else ""


def _batches(inputs: Any, size: int) -> list[Batch]:
    """Return a list of batches unchanged; cut anything else along the first dimension."""
    import torch
    from torch.utils._pytree import tree_leaves, tree_map_only

    from profilers.inference.batches import Batch

    if size < 1:
        raise ValueError(f"batch_size is {size}; it must be at least 1")
    inputs = tree_map_only(np.ndarray, torch.from_numpy, inputs)
    if isinstance(inputs, list):
        parts: Iterable[Any] = inputs
    else:
        tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
        counts = {tensor.shape[0] for tensor in tensors if tensor.dim()}
        if len(counts) != 1 or not all(tensor.dim() for tensor in tensors):
            raise ValueError(f"inputs hold {sorted(counts)} images; give tensors of one length, or a list of batches")
        starts = range(0, counts.pop(), size)
        parts = [tree_map_only(torch.Tensor, lambda tensor, at=start: tensor[at : at + size], inputs) for start in starts]
    made = []
    for part in parts:
        args, kwargs = ((), part) if isinstance(part, dict) else (part if isinstance(part, tuple) else (part,), {})
        first = next((leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.dim()), None)
        if first is None:
            raise ValueError("a batch holds no tensor")
        made.append(Batch(cast("tuple[object, ...]", args), kwargs, int(first.shape[0])))
    if not made:
        raise ValueError("there are no inputs")
    return made
