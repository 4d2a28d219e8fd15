"""Make the batches of a request as torch tensors: random ones, or the images of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from profilers.datasets import LabelledImages
from profilers.errors import ModelError
from profilers.inference.batches import Batch
from profilers.inference.own_data import OwnData
from profilers.measuring.settings import ProfileSettings
from profilers.models.inputs import Input, image_batch, make_batch, parse_inputs
from profilers.models.opening import SavedModel
from profilers.models.torch_errors import in_one_line

# Random inputs: this many different batches, one after another, make a pass.
_RANDOM_BATCHES = 8


def make_batches(
    request: ProfileSettings, saved: SavedModel, data: LabelledImages | OwnData | None, /
) -> tuple[list[Batch], list[str]]:
    """Return the batches of one pass and notes. Raises ModelError if nothing tells the inputs, or no batch can be made."""
    axis = (request.batch_axis or (0,))[0]
    given = tuple(
        replace(one, axis=axis) if one.shape is not None else one for one in parse_inputs(request.inputs, request.values)
    ) or (() if data is not None else saved.inputs or ())
    if data is None and not any(input.shape is not None for input in given):
        asked = next((f"; {note}" for note in saved.notes if "--batch-axis" in note), "")
        raise ModelError(
            f"{request.name} does not state its inputs{asked}; give --input 3x32x32 (a shape without the batch) or --dataset"
        )
    if saved.batch not in (None, request.batch_size):
        raise ModelError(f"{request.name} takes only batches of {saved.batch}; give --batch-size {saved.batch}")
    batches = batches_of(request, given, data, whole=saved.batch is not None)
    notes = []
    if data is not None and (dropped := _images(data) - sum(batch.images for batch in batches)):
        notes.append(f"the last {dropped} images are left out: the model takes only batches of {saved.batch}")
    largest = max(batch.images for batch in batches)
    if isinstance(data, OwnData):
        notes.append(f"batches are those of {data.name}: {largest} images at most")
    elif largest < request.batch_size:
        notes.append(f"batches hold {largest} images, which are all there are")
    if data is None:
        notes.append("inputs are random: energy can differ from that of real inputs")
    return batches, notes


def _images(data: LabelledImages | OwnData) -> int:
    return sum(batch.images for batch in data.batches) if isinstance(data, OwnData) else len(data.labels)


def batches_of(
    request: ProfileSettings, given: Sequence[Input], data: LabelledImages | OwnData | None, *, whole: bool
) -> list[Batch]:
    size = request.batch_size
    if data is None:
        with in_one_line(f"making random inputs for batches of {size}"):
            made = [make_batch(given, size, request.seed + index) for index in range(_RANDOM_BATCHES)]
        return [Batch(args, kwargs, size) for args, kwargs in made]
    constants, kwargs = make_batch(given, size, request.seed)
    if isinstance(data, OwnData):
        made_here = [Batch((*one.args, *constants), {**one.kwargs, **kwargs}, one.images) for one in data.batches]
        if any(one.images != size for one in made_here) and whole:
            raise ModelError(f"{data.name} gives batches of {made_here[-1].images}, and the model takes {size} only")
        return made_here
    count = len(data.labels)
    starts = range(0, count - size + 1 if whole else count, size)
    batches = []
    for start in starts:
        images = image_batch(data, slice(start, start + size), normalise=request.normalise)
        batches.append(Batch((images, *constants), kwargs, len(images)))
    if not batches:
        raise ModelError(f"{data.name} has {count} images, and the model takes only batches of {size}")
    return batches
