"""Bring genomes that compute the same function into one normal form; derive its key, and its layers for drawings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from evolver.architectures.genome import Activation, Convolution, Dropout, Genome, Inception, InnerProduct, Layer, Pooling, Slot
from evolver.architectures.shapes import Description, Placed, Shape, half, place
from evolver.architectures.space import Space


def canonical(genome: Genome, space: Space) -> Genome:
    """Return the normal form: every slot on, nothing redundant, and the genome's parameters in the same order.

    It computes the same function and trains in the same way: every step is exact for any weights, or, for dropout, equal in
    distribution. Its genes may be outside the ranges of the space: two pools in a row become one that is larger than either.
    A convolution that covers all of its input at once, and is not followed by another window, becomes an inner product.
    """
    chain = _Chain(space.input_shape)
    for layer in genome.layers():
        chain.push(layer)
    layers = _strided(_flattened(chain))
    spatial = [number for number, layer in enumerate(layers) if isinstance(layer, Convolution | Inception | Pooling)]
    border = spatial[-1] + 1 if spatial else 0
    slots = tuple(Slot(True, _rounded(layer)) for layer in layers)
    return Genome(slots[:border], slots[border:], genome.training)


def canonical_key(genome: Genome, space: Space) -> str:
    """Return a text that is the same for all genomes of a space with the same normal form and training genes."""
    return blake2b(repr((space.input_shape, space.classes, canonical(genome, space))).encode(), digest_size=16).hexdigest()


def drawing(description: Description) -> list[dict[str, Any]]:
    """Return the layers of a normal form as records; `output` is channels, height, width, or units."""
    return [_record(placed) for placed in description.layers]


@dataclass(frozen=True, slots=True)
class _Link:
    layer: Layer
    output: Shape
    nonnegative: bool


class _Chain:
    """Layers of which no two neighbours can be simplified; a layer pushed is simplified with those before it."""

    def __init__(self, shape: Shape) -> None:
        self.start = _Link(Activation("relu"), shape, False)  # only its output matters: the images
        self.links: list[_Link] = []

    def push(self, layer: Layer) -> None:
        before = self.links[-1] if self.links else self.start
        parts = _alone(layer, before)
        if parts is not None:
            self._push_all(parts)
            return
        parts = _beside(self.links[-1].layer, layer) if self.links else None
        if parts is not None:
            self.links.pop()
            self._push_all(parts)
            return
        self.links.append(_Link(layer, place(layer, before.output).output, _gives_nonnegative(layer, before.nonnegative)))

    def _push_all(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            self.push(layer)


def _gives_nonnegative(layer: Layer, given: bool) -> bool:
    match layer:
        case Activation():
            return given or layer.kind in ("relu", "sigmoid")  # the others keep the sign
        case Pooling() | Dropout():
            return given
        case _:
            return isinstance(layer, Inception)  # ends in ReLUs


def _alone(layer: Layer, before: _Link) -> list[Layer] | None:
    """Return a simpler form of a layer for its input; None if there is none."""
    match layer:
        case Dropout():
            return [] if layer.rate == 0 else None
        case Activation():
            return [] if before.nonnegative and layer.kind in ("relu", "leaky relu", "elu") else None
        case Pooling():
            return _pooling_alone(layer, before.output)
        case Convolution():
            return _convolution_alone(layer, before.output)
        case _:
            return None


def _pooling_alone(pool: Pooling, shape: Shape) -> list[Layer] | None:
    _, height, width = shape
    single = pool.kernel_h == pool.kernel_w == 1
    plain = replace(
        pool,
        kind="max" if single else pool.kind,
        # a longer stride also has only one position
        stride_h=min(pool.stride_h, height - pool.kernel_h + 1),
        stride_w=min(pool.stride_w, width - pool.kernel_w + 1),
    )
    if single and plain.stride_h == plain.stride_w == 1:
        return []
    return None if plain == pool else [plain]


def _convolution_alone(convolution: Convolution, shape: Shape) -> list[Layer] | None:
    _, height, width = shape
    pad_h, pad_w = half(convolution.kernel_h), half(convolution.kernel_w)
    padded = convolution.padding == "half" and pad_h + pad_w > 0
    plain = replace(
        convolution,
        padding="half" if padded else "none",
        stride_h=min(convolution.stride_h, height + 2 * pad_h * padded - convolution.kernel_h + 1),
        stride_w=min(convolution.stride_w, width + 2 * pad_w * padded - convolution.kernel_w + 1),
    )
    # along an axis of kernel 1, a stride just skips values: earlier layers need not compute them
    skipped_h = plain.stride_h if plain.kernel_h == 1 else 1
    skipped_w = plain.stride_w if plain.kernel_w == 1 else 1
    if skipped_h > 1 or skipped_w > 1:
        dense = replace(plain, stride_h=plain.stride_h // skipped_h, stride_w=plain.stride_w // skipped_w)
        return [Pooling("max", 1, 1, skipped_h, skipped_w), dense]
    return None if plain == convolution else [plain]


def _beside(first: Layer, second: Layer) -> list[Layer] | None:
    """Return a simpler form, or the standard order, of two consecutive layers; None if they stay unchanged."""
    match first, second:
        case Activation(), Activation():
            return _activations(first, second)
        case Dropout(), Dropout():
            return [Dropout(1 - (1 - first.rate) * (1 - second.rate))]
        case Dropout(), Activation(kind="relu" | "leaky relu"):
            return [second, first]  # f(c x) = c f(x) for c >= 0, so mask and scale may come later
        case Activation(), Pooling(kind="max"):
            return [second, first]  # every activation here is monotone; the pool leaves it fewer values
        case Dropout(), Pooling(kernel_h=1, kernel_w=1):
            return [second, first]
        case Convolution(), Pooling(kernel_h=1, kernel_w=1):
            return [replace(first, stride_h=first.stride_h * second.stride_h, stride_w=first.stride_w * second.stride_w)]
        case Pooling(), Pooling():
            return _pools(first, second)
        case _:
            return None


def _activations(first: Activation, second: Activation) -> list[Layer] | None:
    if second.kind == "relu" and first.kind in ("leaky relu", "elu"):
        return [second]  # they differ from x only below 0
    if second.kind == "relu" and first.kind == "tanh":
        return [second, first]  # tanh keeps the sign
    return None


def _pools(first: Pooling, second: Pooling) -> list[Layer] | None:
    """Combine two pools if their windows tile (average) or cover (max) the area of a single window."""
    first_single = first.kernel_h == first.kernel_w == 1
    second_single = second.kernel_h == second.kernel_w == 1
    if not (first_single or second_single or first.kind == second.kind):
        return None
    kind = second.kind if first_single else first.kind
    for kernel, stride, following in (
        (first.kernel_h, first.stride_h, second.kernel_h),
        (first.kernel_w, first.stride_w, second.kernel_w),
    ):
        if following > 1 and not (stride == kernel if kind == "average" else stride <= kernel):
            return None
    return [
        Pooling(
            kind,
            first.kernel_h + (second.kernel_h - 1) * first.stride_h,
            first.kernel_w + (second.kernel_w - 1) * first.stride_w,
            first.stride_h * second.stride_h,
            first.stride_w * second.stride_w,
        )
    ]


def _flattened(chain: _Chain) -> list[Layer]:
    """Write final convolutions that cover all of their input in one position as inner products."""
    layers = [link.layer for link in chain.links]
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        _, height, width = (chain.links[number - 1] if number else chain.start).output
        if isinstance(layer, Convolution) and (layer.kernel_h, layer.kernel_w, layer.padding) == (height, width, "none"):
            layers[number] = InnerProduct(layer.channels)
        elif isinstance(layer, Convolution | Inception | Pooling):
            break
    return layers


def _strided(layers: list[Layer]) -> list[Layer]:
    """Return strides that no earlier layer could take to the convolutions that they came from."""
    strided: list[Layer] = []
    for layer in layers:
        before = strided[-1] if strided else None
        if isinstance(layer, Convolution) and isinstance(before, Pooling) and _skips_for(before, layer):
            strided[-1] = replace(layer, stride_h=layer.stride_h * before.stride_h, stride_w=layer.stride_w * before.stride_w)
        else:
            strided.append(layer)
    return strided


def _skips_for(pool: Pooling, convolution: Convolution) -> bool:
    single = pool.kernel_h == pool.kernel_w == 1
    return single and (pool.stride_h == 1 or convolution.kernel_h == 1) and (pool.stride_w == 1 or convolution.kernel_w == 1)


def _rounded(layer: Layer) -> Layer:
    # dropouts joined in another order differ in the last bits
    return Dropout(round(layer.rate, 9)) if isinstance(layer, Dropout) else layer


def _record(placed: Placed) -> dict[str, Any]:
    layer = placed.layer
    record: dict[str, Any] = {"op": layer.op}
    match layer:
        case Convolution():
            record |= {"kernel": [layer.kernel_h, layer.kernel_w], "stride": [layer.stride_h, layer.stride_w]}
            record |= {"padding": layer.padding, "channels": layer.channels}
        case Pooling():
            record |= {"kind": layer.kind, "kernel": [layer.kernel_h, layer.kernel_w], "stride": [layer.stride_h, layer.stride_w]}
        case Inception():
            names = ("channels_1x1", "reduce_3x3", "channels_3x3", "reduce_5x5", "channels_5x5", "channels_pool")
            record |= {"channels": layer.channels, "branches": {name: getattr(layer, name) for name in names}}
        case Activation():
            record |= {"kind": layer.kind}
        case Dropout():
            record |= {"rate": round(layer.rate, 3)}
        case InnerProduct():
            return record | {"units": layer.units, "output": [layer.units], "parameters": placed.parameters}
    return record | {"output": list(placed.output), "parameters": placed.parameters}
