"""How a model runs, in words: where its batches lie, and how its numbers are stored; no torch."""

from __future__ import annotations

from typing import Literal

Mode = Literal["paper", "device", "pipelined"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
MODES: tuple[Mode, ...] = ("paper", "device", "pipelined")
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")
