"""Define the ranges of genes, each with its origin, and the limits imposed by a data set and a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from evolver.architectures.genome import FEATURE_OPS


@dataclass(frozen=True, slots=True)
class Integer:
    """Integers from low to high; with `log`, every doubling is equally likely."""

    low: int
    high: int
    log: bool = False

    def at(self, u: float) -> int:
        """Map a uniform number in [0, 1) to a value."""
        if self.log:
            return min(self.high, int(self.low * ((self.high + 1) / self.low) ** u))
        return self.low + int(u * (self.high - self.low + 1))

    def near(self, value: int, u: float) -> int:
        """Map to another value, a step of up to a quarter of the range, or of its logarithm, but at least one."""
        if self.low == self.high:
            return self.low
        step = (2 * u - 1) / 4
        moved = value * (self.high / self.low) ** step if self.log else value + step * (self.high - self.low)
        whole = round(moved)
        if whole == value:
            whole += 1 if step >= 0 else -1
        if not self.low <= whole <= self.high:
            whole = 2 * value - whole
        return self.clamp(whole)

    def clamp(self, value: int) -> int:
        return min(self.high, max(self.low, value))


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers from low to high, kept to three significant digits."""

    low: float
    high: float
    log: bool = False

    def at(self, u: float) -> float:
        return self._rounded(self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low))

    def near(self, value: float, u: float) -> float:
        step = (2 * u - 1) / 4
        return self._rounded(value * (self.high / self.low) ** step if self.log else value + step * (self.high - self.low))

    def clamp(self, value: float) -> float:
        return min(self.high, max(self.low, value))

    def _rounded(self, value: float) -> float:
        return self.clamp(float(f"{value:.3g}"))


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values; a value listed repeatedly is proportionally likelier."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        return self.values[int(u * len(self.values))]

    def near(self, value: Any, u: float) -> Any:
        others = [other for other in self.values if other != value]
        return others[int(u * len(others))] if others else value

    def clamp(self, value: Any) -> Any:
        return value if value in self.values else self.values[0]


Range: TypeAlias = Integer | Real | OneOf

# Young et al. 2019, III.A, name the kinds of layers and their order, but give no ranges.
NOVA = "seen in evolved networks of MENNDL for NOvA, MINERvA_NOvA_network_analysis"
OURS = "ours"

_WIDTH = Integer(4, 128, log=True)
_KERNEL = Integer(1, 7)
_STRIDE = OneOf((1, 1, 1, 1, 2, 3))

# The kinds are the paper's. It gives no ranges: we chose each below to cover the named networks within CIFAR's 32x32.
LAYER_RANGES: Mapping[str, Mapping[str, tuple[Range, str]]] = {
    "convolution": {
        "channels": (Integer(8, 256, log=True), f"{OURS}; 1 to 128 {NOVA}"),
        "kernel_h": (_KERNEL, f"{OURS}; non-square: Young et al. 2019, IV"),
        "kernel_w": (_KERNEL, f"{OURS}; non-square: Young et al. 2019, IV"),
        "stride_h": (_STRIDE, f"{OURS}; medians of 2 to 3 {NOVA}, on larger images"),
        "stride_w": (_STRIDE, f"{OURS}; medians of 2 to 3 {NOVA}, on larger images"),
        "padding": (OneOf(("half", "half", "none")), f"{OURS}; both {NOVA}"),
    },
    "inception": {
        "channels_1x1": (_WIDTH, f"{OURS}; around the 64 of GoogLeNet 3a, {NOVA}"),
        "reduce_3x3": (_WIDTH, f"{OURS}; around the 96 of GoogLeNet 3a"),
        "channels_3x3": (_WIDTH, f"{OURS}; up to the 128 of GoogLeNet 3a"),
        "reduce_5x5": (Integer(4, 64, log=True), f"{OURS}; around the 16 of GoogLeNet 3a"),
        "channels_5x5": (Integer(4, 64, log=True), f"{OURS}; around the 32 of GoogLeNet 3a"),
        "channels_pool": (Integer(4, 64, log=True), f"{OURS}; around the 32 of GoogLeNet 3a"),
    },
    "pooling": {
        "kind": (OneOf(("max", "max", "average")), f"{OURS}; average seldom {NOVA}"),
        "kernel_h": (Integer(1, 4), OURS),
        "kernel_w": (Integer(1, 4), OURS),
        "stride_h": (OneOf((1, 2, 2, 3)), OURS),
        "stride_w": (OneOf((1, 2, 2, 3)), OURS),
    },
    "activation": {"kind": (OneOf(("relu", "relu", "leaky relu", "elu", "tanh", "sigmoid")), f"{OURS}; ReLU mostly, {NOVA}")},
    "dropout": {"rate": (Real(0.0, 0.7), f"{OURS}; 0.1 to 0.68 {NOVA}")},
    "inner product": {"units": (Integer(16, 1024, log=True), OURS)},
}
# The kinds of a random slot, and the probability that it is on; chosen by us.
FEATURE_KINDS = OneOf(("convolution", "convolution", *FEATURE_OPS[1:4], "activation", "dropout"))
CLASSIFIER_KINDS = OneOf(("inner product", "inner product", "activation", "activation", "dropout"))
FEATURE_ON, CLASSIFIER_ON = 0.5, 0.2

# Chosen by us; the paper trains without augmentation and says no more. The optimisers' best rates are decades apart.
LEARNING_RATES: Mapping[str, Real] = {"sgd": Real(2e-3, 0.3, log=True), "adamw": Real(2e-4, 2e-2, log=True)}
OPTIMIZERS = OneOf(("sgd", "adamw"))
WEIGHT_DECAY = Real(1e-5, 1e-1, log=True)
BATCH_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True)
class Space:
    """All genomes with given numbers of slots for images of one shape; `shapes.repair` brings any genome into the space.

    The paper has 16 and 16 slots, as settings (Young et al. 2019, III.A). The limits are ours: they keep a candidate from
    costing more than a search can spend on it. The largest network of the paper's Table I has 30,105,165 parameters.
    """

    input_shape: tuple[int, int, int]
    """Channels, height, width."""
    classes: int
    feature_slots: int = 16
    classifier_slots: int = 16
    max_epochs: int = 30
    min_epochs: int = 1
    batch_sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    max_parameters: int = 40_000_000
    max_flops: int = 1_000_000_000
    """FLOPs of one inference on one image, as in `shapes.Description.flops`."""
    max_activations: int = 500_000_000
    """Number of values that a training step keeps: outputs of all layers for one batch."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", tuple(self.input_shape))  # lists in JSON
        object.__setattr__(self, "batch_sizes", tuple(self.batch_sizes))
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise ValueError(f"input_shape is {self.input_shape}; it must be three positive sizes: channels, height, width")
        if self.classes < 2:
            raise ValueError(f"classes is {self.classes}; it must be 2 or more")
        for name in ("feature_slots", "classifier_slots"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.max_epochs < 1:
            raise ValueError(f"max_epochs is {self.max_epochs}; it must be 1 or more")
        if not 1 <= self.min_epochs <= self.max_epochs:
            raise ValueError(f"min_epochs is {self.min_epochs}; it must be from 1 to max_epochs, {self.max_epochs}")
        if not self.batch_sizes or not set(self.batch_sizes) <= set(BATCH_SIZES):
            raise ValueError(f"batch_sizes is {self.batch_sizes}; it must hold some of {BATCH_SIZES}")
        bare = math.prod(self.input_shape) * self.classes
        if self.max_parameters < bare + self.classes or self.max_flops < 2 * bare:
            raise ValueError(
                f"limits of {self.max_parameters:,} parameters and {self.max_flops:,} FLOPs: the network without layers has more"
            )
        if self.max_activations < self.classes * min(self.batch_sizes):
            raise ValueError(
                f"max_activations is {self.max_activations:,}; the smallest batch of the network without layers has more"
            )

    @property
    def epochs(self) -> Integer:
        return Integer(self.min_epochs, self.max_epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object that `Space(**record)` reads."""
        return asdict(self)


def suited(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    training_images: int,
    cuda: bool,
    feature_slots: int = 16,
    classifier_slots: int = 16,
    max_epochs: int = 30,
) -> Space:
    """Return a space whose costliest candidate trains for about a minute on one GPU, or three seconds on one CPU core.

    All train for the same number of epochs, so that no schedule gives an advantage; stopping by rank saves time on hopeless ones.
    Only the order of magnitude matters: 1e14 FLOP/s on a GPU, 5e9 on a core, three forward passes per training step.
    """
    flops = (60 * 1e14 if cuda else 3 * 5e9) / (3 * training_images * max_epochs)
    sizes = (64, 128, 256, 512, 1024) if cuda else (16, 32, 64, 128)
    return Space(
        input_shape,
        classes,
        feature_slots,
        classifier_slots,
        max_epochs,
        max_epochs,
        # batches of a twelfth of the set leave enough steps per epoch to learn
        batch_sizes=tuple(size for size in sizes if size <= max(training_images // 12, sizes[0])),
        max_flops=max(20 * math.prod(input_shape) * classes, min(2_000_000_000, int(flops))),
    )
