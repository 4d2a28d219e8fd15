"""Open a folder of `save_pretrained`, or a file in one, by the class's own `from_pretrained`: local files only."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profilers.errors import ModelError
from profilers.models import factories
from profilers.models.formats import recognise
from profilers.models.torch_errors import some

if TYPE_CHECKING:
    from torch.nn import Module

_USUAL_NAMES = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


def folder_of(path: Path, factory: str | None, /) -> Path | None:
    """Return the folder that `from_pretrained` opens: the path, or a file's folder if the factory has that method."""
    if path.is_dir():
        return path
    beside = path.parent / "config.json"
    if factory is None or path.name not in _USUAL_NAMES or not beside.is_file():
        return None
    return path.parent if hasattr(factories.find(factory), "from_pretrained") else None


def open_folder(
    folder: Path, factory: str | None, arguments: Mapping[str, object] | None, /, *, trust: bool, strict: bool
) -> tuple[Module, tuple[str, ...]]:
    """Return the network and notes.

    Raises ModelError if the folder needs trust, or a class or package that is missing, or lacks weights of the network.
    """
    import torch

    for file in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt")):
        if not trust and file.stat().st_size and (found := recognise(file)).format == "pickle":
            raise ModelError(f"{file} is a pickle that names {found.foreign[0]}: opening it can run any code; --trust opens it")
    with _offline():
        owner = factories.find(factory) if factory else _transformers_class(folder)
        make = getattr(owner, "from_pretrained", None)
        if make is None:
            raise ModelError(f"factory {factory} has no from_pretrained; name the file of weights in {folder}")
        made = make(str(folder), **_options(owner, make, trust=trust), **(arguments or {}))
    network, info = made if isinstance(made, tuple) else (made, {})
    if not isinstance(network, torch.nn.Module):
        raise ModelError(
            f"{getattr(owner, '__name__', owner)}.from_pretrained made a {type(network).__name__}, not a torch.nn.Module"
        )
    missing = sorted(info.get("missing_keys", ()))
    if missing and strict:
        raise ModelError(f"{folder} lacks {some(missing)} of {type(network).__name__}; --no-strict leaves them at fresh values")
    fresh = (f"{len(missing)} weights are not in the folder, left at fresh values: {some(missing)}",) if missing else ()
    return network, (f"opened by {type(network).__name__}.from_pretrained", *fresh)


def _options(owner: object, make: Any, *, trust: bool) -> dict[str, object]:
    wanted: dict[str, object] = {"local_files_only": True, "trust_remote_code": trust}
    if str(getattr(owner, "__module__", "")).partition(".")[0] == "transformers":
        return wanted | {"output_loading_info": True}
    try:
        known = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return {}
    return {name: value for name, value in wanted.items() if name in known}


def _transformers_class(folder: Path) -> object:
    try:
        named = json.loads((folder / "config.json").read_text())["architectures"][0]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise ModelError(f"{folder} does not state its class; give --factory, such as transformers:AutoModel") from None
    try:
        import transformers
    except ImportError:
        raise ModelError(f"{folder} is a model of transformers, which is not installed: pip install transformers") from None
    found = getattr(transformers, str(named), None)
    if not str(getattr(found, "__module__", "")).startswith("transformers."):
        raise ModelError(f"{folder}: transformers has no {str(named)[:80]!r}; give --factory, such as transformers:AutoModel")
    return found


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's libraries off the network, including those imported only now."""
    kept = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if kept is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = kept


def files_of(folder: Path, /) -> list[Path]:
    """Return the files of a folder that its digest covers: configuration and weights."""
    return sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".bin", ".pt") and file.is_file())
