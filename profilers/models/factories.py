"""Build a network with the user's own code, given by name and therefore trusted."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from profilers.errors import ModelError
from profilers.models.torch_errors import first_line

if TYPE_CHECKING:
    from torch.nn import Module


def split(factory: str) -> tuple[str, str]:
    """Split "torchvision:resnet18", "package.module:callable" or "path/file.py:callable" into place and name."""
    where, _, name = factory.rpartition(":")
    if not where or not name.isidentifier():
        raise ValueError(f"factory {factory!r}: write torchvision:resnet18, package.module:callable or path/file.py:callable")
    return where, name


def build(factory: str, arguments: Mapping[str, object] | None = None, *, weights_file: str | None = None) -> Module:
    """Call a factory with keyword arguments; one with a parameter `weights_file` gets the file of the weights.

    Raises ValueError for text of another form, ModelError if the factory is not found, fails, or makes no torch module.
    """
    import torch

    arguments = dict(arguments or {})
    make = find(factory)
    if factory.startswith("torchvision:") and "weights_backbone" in inspect.signature(make).parameters:
        arguments = {"weights_backbone": None} | arguments  # otherwise it would download weights, which are replaced anyway
    if weights_file is not None and "weights_file" in _parameters(make):
        arguments = {"weights_file": weights_file} | arguments
    try:
        network = make(**arguments)
    except (Exception, SystemExit) as error:
        raise ModelError(f"factory {factory} failed: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"factory {factory} made a {type(network).__name__}, not a torch.nn.Module")
    return network


def find(factory: str) -> Callable[..., object]:
    """Return the callable that a factory's text names; raises the errors of `build`."""
    where, name = split(factory)
    return _torchvision(name) if where == "torchvision" else _named(factory, where, name)


def _parameters(make: Callable[..., object]) -> Collection[str]:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # of C
        return ()


def _torchvision(name: str) -> Callable[..., object]:
    try:
        from torchvision import models
    except ImportError as error:
        raise ModelError("factory torchvision: torchvision is not installed; pip install 'ecosel[torch]'") from error
    try:
        make: Callable[..., object] = models.get_model_builder(name)
    except ValueError as error:
        near = ", ".join(difflib.get_close_matches(name, models.list_models(), 3))
        raise ModelError(f"torchvision has no model {name!r}" + (f"; it has {near}" if near else "")) from error
    return make


def _named(factory: str, where: str, name: str) -> Callable[..., object]:
    try:
        module = module_of_file(Path(where)) if where.endswith(".py") else _from_path(where)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # a script that is not a module may exit
        raise ModelError(f"factory {factory} cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        near = ", ".join(difflib.get_close_matches(name, [key for key in vars(module) if not key.startswith("_")], 3))
        raise ModelError(f"factory {factory}: {where} has no callable {name!r}" + (f"; it has {near}" if near else ""))
    make: Callable[..., object] = found
    return make


def reach_working_folder() -> None:
    """Also find modules in the working folder, where the user's own are likely to be; console scripts do not search it."""
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))


def _from_path(name: str) -> object:
    reach_working_folder()
    return importlib.import_module(name)


def module_of_file(path: Path, /) -> object:
    """Import a file of the user's code, which can import its neighbours."""
    if not path.is_file():
        raise ModelError(f"factory file {path} does not exist")
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # as if it were run as a script
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"factory file {path} is not Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and pickles look up their module
    spec.loader.exec_module(module)
    return module
