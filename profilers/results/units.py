"""Write a number with its unit, so that it reads well at any scale."""

from __future__ import annotations

_PREFIXES = (
    (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"),
)  # fmt: skip
# Nobody speaks of kiloseconds, or of a thousandth of an image or an operation.
_SMALLEST = {"/s": 1.0, "": 1.0, "B": 1.0}
_LARGEST = {"s": 1.0}


def si(value: float, unit: str, /) -> str:
    """Write four digits with a fitting prefix, or without one for the unit "=".

    >>> si(0.00345, "J"), si(0.2076, "/s"), si(4521.7, "s"), si(0.99999, "W"), si(1.2e12, "")
    ('3.45 mJ', '0.2076 /s', '4,522 s', '1 W', '1.2 T')
    """
    scale, prefix = prefixed(value, unit)
    return f"{digits(value * scale)} {prefix}{'' if unit == '=' else unit}".rstrip()


def digits(value: float, /) -> str:
    """Write four digits, or all digits of a number of at least 1000."""
    rounded = float(f"{value:.4g}")
    return f"{value:,.0f}" if 1000 <= abs(rounded) < 1e15 else f"{rounded:.4g}"


def prefixed(value: float, unit: str, /) -> tuple[float, str]:
    """Return the factor and the prefix that make a number of a unit read well."""
    rounded = abs(float(f"{value:.4g}"))
    if unit == "=" or not rounded:
        return 1.0, ""
    smallest, largest = _SMALLEST.get(unit, 0.0), _LARGEST.get(unit, 1e99)
    usable = [(size, prefix) for size, prefix in _PREFIXES if smallest <= size <= largest]
    size, prefix = next((pair for pair in usable if rounded >= pair[0]), usable[-1])
    return 1 / size, prefix
