"""Find the devices that PyTorch can run on, and the boards that they are."""

from __future__ import annotations

import re

import torch

from profilers.errors import MeterError, ModelError
from profilers.measuring.device import Device, cuda_device, no_device
from profilers.meters.rapl import processor_name


def find_device(device: str) -> Device:
    """Find a device without opening it: its idle power is measured first."""
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return Device("cpu", f"{processor_name()}, {torch.get_num_threads()} threads", "cpu")
    if not re.fullmatch(r"cuda(:\d+)?|(GPU|MIG)-.+", device):
        raise ValueError(f"--device {device!r} is not one of auto, cpu, cuda, cuda:N, GPU-UUID, MIG-UUID")
    if not torch.cuda.is_available():
        raise ModelError(f"--device {device}: PyTorch finds no CUDA device here; --device cpu runs on the processor")
    name = "cuda:0" if device == "cuda" else device
    try:
        return cuda_device(name)
    except MeterError:  # without NVML there is no meter, and the rest can still be measured
        if not name.startswith("cuda") or int(name[5:]) >= torch.cuda.device_count():
            raise no_device(device) from None
        return Device(name, torch.cuda.get_device_name(name), name.replace(":", "-"))
