"""Define a candidate as a frozen value: slots of layers, each on or off, and training genes; to JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from reprlib import repr as repr_short
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, TypeVar, get_args

PoolingKind = Literal["max", "average"]
ActivationKind = Literal["relu", "leaky relu", "elu", "tanh", "sigmoid"]
Optimizer = Literal["sgd", "adamw"]
Padding = Literal["half", "none"]


@dataclass(frozen=True, slots=True)
class Convolution:
    """`half` padding is (kernel - 1) // 2 zeros on both sides of an axis."""

    op: ClassVar[str] = "convolution"
    channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    padding: Padding


@dataclass(frozen=True, slots=True)
class Inception:
    """Four branches side by side: 1x1; 1x1 to 3x3; 1x1 to 5x5; 3x3 max pooling to 1x1 (Szegedy et al. 2015, fig. 2b).

    A ReLU follows each convolution; height and width stay the same.
    """

    op: ClassVar[str] = "inception"
    channels_1x1: int
    reduce_3x3: int
    channels_3x3: int
    reduce_5x5: int
    channels_5x5: int
    channels_pool: int

    @property
    def channels(self) -> int:
        return self.channels_1x1 + self.channels_3x3 + self.channels_5x5 + self.channels_pool


@dataclass(frozen=True, slots=True)
class Pooling:
    """Pooling is never padded."""

    op: ClassVar[str] = "pooling"
    kind: PoolingKind
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int


@dataclass(frozen=True, slots=True)
class Activation:
    op: ClassVar[str] = "activation"
    kind: ActivationKind


@dataclass(frozen=True, slots=True)
class Dropout:
    """In training, each value is set to 0 with probability `rate`, and the others are scaled by 1 / (1 - rate)."""

    op: ClassVar[str] = "dropout"
    rate: float


@dataclass(frozen=True, slots=True)
class InnerProduct:
    op: ClassVar[str] = "inner product"
    units: int


Layer: TypeAlias = Convolution | Inception | Pooling | Activation | Dropout | InnerProduct
LAYERS: Mapping[str, type[Layer]] = {layer.op: layer for layer in get_args(Layer)}
FEATURE_OPS = ("convolution", "inception", "pooling", "activation", "dropout")
CLASSIFIER_OPS = ("inner product", "activation", "dropout")


@dataclass(frozen=True, slots=True)
class Slot:
    on: bool
    layer: Layer


@dataclass(frozen=True, slots=True)
class Training:
    optimizer: Optimizer
    learning_rate: float
    """The peak of the one-cycle schedule."""
    weight_decay: float
    batch_size: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Genome:
    """Feature slots, then classifier slots; an inner product with one unit per class always follows, and has no slot."""

    features: tuple[Slot, ...]
    classifier: tuple[Slot, ...]
    training: Training

    def layers(self) -> Iterator[Layer]:
        """Yield the layers of the slots that are on, in order."""
        return (slot.layer for part in (self.features, self.classifier) for slot in part if slot.on)

    def to_json(self) -> str:
        """Return one line of JSON, the same text for equal genomes."""
        return json.dumps(
            {
                "features": [_slot_record(slot) for slot in self.features],
                "classifier": [_slot_record(slot) for slot in self.classifier],
                "training": _record(self.training),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Genome:
        """Read the result of `to_json`; raise a one-line ValueError for anything else. `shapes.repair` checks ranges."""
        try:
            record = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"genome is not JSON ({error})") from None
        if not isinstance(record, dict) or set(record) != {"features", "classifier", "training"}:
            _refuse("it must be an object with features, classifier and training")
        return cls(
            _slots(record["features"], "features", allowed=FEATURE_OPS),
            _slots(record["classifier"], "classifier", allowed=CLASSIFIER_OPS),
            _value(Training, record["training"], "training"),
        )


def _record(value: Layer | Training) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _slot_record(slot: Slot) -> dict[str, object]:
    return {"op": slot.layer.op, "on": slot.on, **_record(slot.layer)}


def _slots(records: object, part: str, *, allowed: tuple[str, ...]) -> tuple[Slot, ...]:
    if not isinstance(records, list) or len(records) > _MOST_SLOTS:
        _refuse(f"{part} must be a list of at most {_MOST_SLOTS:,} slots")
    slots = []
    for number, record in enumerate(records):
        place = f"{part}[{number}]"
        if not isinstance(record, dict) or not isinstance(record.get("on"), bool):
            _refuse(f"{place} must be an object with on: true or false")
        if record.get("op") not in allowed:
            _refuse(f"{place} has op {repr_short(record.get('op'))}; it must be one of {', '.join(allowed)}")
        genes = {name: gene for name, gene in record.items() if name not in ("op", "on")}
        slots.append(Slot(record["on"], _value(LAYERS[record["op"]], genes, place)))
    return tuple(slots)


T = TypeVar("T", bound=Layer | Training)

# The possible values of a gene, by its declared type; the space defines ranges.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "PoolingKind": get_args(PoolingKind),
    "ActivationKind": get_args(ActivationKind),
    "Optimizer": get_args(Optimizer),
    "Padding": get_args(Padding),
}
_MOST_SLOTS = 1000  # slots in each part, at most; a space has a few dozen
_LARGEST = 10**6  # bound of any integer gene, which keeps shapes and counts of a stranger's genome reasonable


def _value(kind: type[T], record: object, place: str) -> T:
    names = [field.name for field in fields(kind)]
    if not isinstance(record, dict) or set(record) != set(names):
        _refuse(f"{place} must have exactly {', '.join(names)}")
    return kind(**{field.name: _gene(record[field.name], str(field.type), f"{place}.{field.name}") for field in fields(kind)})


def _gene(gene: object, declared: str, place: str) -> Any:
    if declared == "int":
        if type(gene) is int and 1 <= gene <= _LARGEST:
            return gene
        _refuse(f"{place} is {repr_short(gene)}; it must be a whole number from 1 to {_LARGEST:,}")
    if declared == "float":
        below = 1.0 if place.endswith(".rate") else math.inf
        if type(gene) in (int, float) and 0 <= gene < below:  # type: ignore[operator]
            return float(gene)  # type: ignore[arg-type]
        _refuse(f"{place} is {repr_short(gene)}; it must be a number from 0 to below {below}")
    if gene in _CHOICES[declared]:
        return gene
    _refuse(f"{place} is {repr_short(gene)}; it must be one of {', '.join(_CHOICES[declared])}")


def _refuse(reason: str) -> NoReturn:
    raise ValueError(f"genome cannot be read: {reason}")
