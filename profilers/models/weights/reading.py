"""Read a file of weights: safetensors, or torch.save through its restricted unpickler."""

from __future__ import annotations

import pickle
from pathlib import Path

from profilers.errors import ModelError
from profilers.models.factories import reach_working_folder
from profilers.models.formats import Format
from profilers.models.weights.scripts import with_classes_of_scripts

# CVE-2026-24747: files can make the restricted unpickler of older versions corrupt memory
_SAFE_SINCE = (2, 10)


def read(file: Path, format: Format, *, device: str, trust: bool) -> object:
    """Return the content of a safetensors or torch.save file; without trust only through torch's restricted unpickler."""
    import torch

    if format == "safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise ModelError(f"{file} is a safetensors file; pip install safetensors") from error
        return load_file(file, device=device)
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_SINCE and not trust:
        raise ModelError(
            f"{file}: opening a file of torch.save is not safe in torch {torch.__version__} (CVE-2026-24747); "
            "install torch 2.10 or newer, or convert it to safetensors"
        )
    if trust:
        reach_working_folder()
    # an open file, as torch would take any file named .safetensors for one
    with file.open("rb") as content:
        try:
            return torch.load(content, map_location=device, weights_only=True)
        except pickle.UnpicklingError as error:
            if not trust:
                # do not repeat torch's advice to switch the check off
                raise ModelError(
                    f"{file} is more than plain weights: opening it can run any code; "
                    "--trust opens it, if you trust its author; better save the state_dict() as safetensors"
                ) from error

        def load() -> object:
            content.seek(0)
            return torch.load(content, map_location=device, weights_only=False)

        return with_classes_of_scripts(load, file)


def aliases(file: Path, format: Format) -> dict[str, str]:
    """Return {omitted: kept} for the keys that safetensors' save_model omitted because another has the same numbers."""
    if format != "safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(file, framework="pt") as content:
        return {name: kept for name, kept in (content.metadata() or {}).items() if name != "format" and kept in content.keys()}  # noqa: SIM118
