"""Find the dimension of a program's inputs that counts the images: from the file, by running it, or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from profilers.errors import ModelError
from profilers.models.inputs import Input, make_batch
from profilers.models.programs.signatures import Recorded

if TYPE_CHECKING:
    from torch import Tensor

Axes = tuple[int, ...]
# A dimension recorded with one image is tried with this many.
_FEW = 3
_MOST_COMBINATIONS = 64


def batched(
    module: Callable[..., object], recorded: Sequence[Recorded], axes: Sequence[int] | None, /, *, device: str
) -> tuple[tuple[Input, ...] | None, int | None, tuple[str, ...]]:
    """Return (inputs of one image, the only batch that the program takes or None for any, notes).

    Inputs are None, with a note, if the dimension is unknown. `axes`, if given, is one for all inputs, or one each.
    """
    tensors = [one for one in recorded if one.shape is not None]
    shapes = ", ".join("x".join(map(str, one.shape or ())) for one in tensors)
    notes: tuple[str, ...] = ()
    only: int | None = None
    if axes is not None:
        found: Axes | None = _given(tensors, axes)
    elif (found := _told(tensors)) is None:
        found, only = _tried(module, recorded, device)
        told = f"dimension {', '.join(map(str, sorted(set(found))))} of the inputs" if found else ""
        notes = (f"{told} is the batch: only along it does no image change another's output",) if found and any(found) else ()
    if found is None:
        return None, None, (f"it was saved with inputs of {shapes}, and the batch dimension cannot be found; "
                            "give for example --batch-axis 0",)  # fmt: skip
    places = iter(found)
    inputs = tuple(one.without(next(places) if one.shape is not None else 0) for one in recorded)
    fixed = {one.shape[axis] for one, axis in zip(tensors, found, strict=True) if one.shape and axis not in (one.free or ())}
    known = all(one.free is not None for one in tensors)
    return inputs, next(iter(fixed)) if known and fixed else only, notes


def _given(tensors: Sequence[Recorded], axes: Sequence[int]) -> Axes:
    each = tuple(axes) * len(tensors) if len(axes) == 1 else tuple(axes)
    if len(each) != len(tensors):
        raise ModelError(f"--batch-axis names {len(axes)} dimensions for {len(tensors)} inputs; give one, or one for each")
    for one, axis in zip(tensors, each, strict=True):
        if not 0 <= axis < len(one.shape or ()):
            raise ModelError(f"--batch-axis {axis}: the input is {'x'.join(map(str, one.shape or ()))}, counted from 0")
    return each


def _told(tensors: Sequence[Recorded]) -> Axes | None:
    """Return the axes if the file states that each input has exactly one dimension of any size."""
    free = [sorted(one.free or ()) for one in tensors]
    return tuple(axes[0] for axes in free) if free and all(len(axes) == 1 for axes in free) else None


def _tried(module: Callable[..., object], recorded: Sequence[Recorded], device: str) -> tuple[Axes | None, int | None]:
    """Return the axes along which images do not affect each other's output, None if there are none or several; and the
    only number of images if no other runs."""
    import torch

    independent: list[Axes] = []
    single: list[Axes] = []
    with torch.inference_mode():
        for axes, size in _combinations(recorded):
            try:
                if size > 1 and _independent(module, recorded, axes, size, device):
                    independent.append(axes)
                elif size == 1 and _one_output(module, recorded, axes, device):
                    single.append(axes)
            except Exception:
                continue
    if independent:
        return (independent[0] if len(independent) == 1 else None), None
    # one image per call, whichever of the dimensions of size 1 counts it
    return (single[0], 1) if single else (None, None)


def _combinations(recorded: Sequence[Recorded]) -> Iterator[tuple[Axes, int]]:
    """Yield a dimension of each input with the number of images to try there, the same for all inputs."""
    tensors = [one for one in recorded if one.shape is not None]
    several = any(one.free for one in tensors)
    choices = [sorted(one.free) if several and one.free else range(len(one.shape or ())) for one in tensors]
    for axes in itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS):
        sizes = {one.shape[axis] for one, axis in zip(tensors, axes, strict=True) if one.shape}
        if len(sizes) != 1:
            continue
        (size,) = sizes
        if size == 1 and all(one.free is None or axis in one.free for one, axis in zip(tensors, axes, strict=True)):
            yield axes, _FEW
        yield axes, size


def _made(recorded: Sequence[Recorded], axes: Axes, size: int, seed: int, device: str) -> Any:
    places = iter(axes)
    inputs = [one.without(next(places) if one.shape is not None else 0) for one in recorded]
    args, kwargs = make_batch(inputs, size, seed)
    return _mapped((args, kwargs), lambda tensor: tensor.to(device))


def _independent(module: Callable[..., object], recorded: Sequence[Recorded], axes: Axes, size: int, device: str) -> bool:
    import torch

    def run(inputs: Any) -> Any:
        args, kwargs = _mapped(inputs, torch.clone)
        return _first(module(*args, **kwargs))

    inputs = _made(recorded, axes, size, 0, device)
    output = run(inputs)
    along = [axis for axis, length in enumerate(output.shape) if length == size]
    if not along or not torch.equal(output, run(inputs)):
        return False
    for image in (0, size - 1):  # at both ends: in a sequence, the last step changes none before it
        changed = run(_with_another(inputs, axes, image))
        differs = [torch.ne(output, changed).movedim(axis, 0).reshape(size, -1).any(1) for axis in along]
        along = [axis for axis, at in zip(along, differs, strict=True) if at[image] and at.sum() == 1]
    return bool(along)


def _one_output(module: Callable[..., object], recorded: Sequence[Recorded], axes: Axes, device: str) -> bool:
    args, kwargs = _made(recorded, axes, 1, 0, device)
    return 1 in _first(module(*args, **kwargs)).shape


def _with_another(inputs: Any, axes: Axes, image: int) -> Any:
    """Return the inputs with other numbers at one position along the axes."""
    import torch

    places = iter(axes)

    def change(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        at = tensor.select(next(places), image)
        at.copy_(at + 1 if tensor.is_floating_point() else torch.logical_not(at).to(tensor.dtype))
        return tensor

    return _mapped(inputs, change)


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    import torch
    from torch.utils._pytree import tree_map_only

    return tree_map_only(torch.Tensor, change, value)


def _first(output: Any) -> Any:
    """Return the first tensor of an output; StopIteration where it has none."""
    import torch
    from torch.utils._pytree import tree_leaves

    return next(leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
