"""Write a number with its unit and an SI prefix."""

from __future__ import annotations

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def si(value: float, unit: str, /) -> str:
    """Write four digits with the prefix that fits.

    >>> si(0.00345, "J")
    '3.45 mJ'
    """
    scale, prefix = prefixed(value)
    return f"{value * scale:.4g} {prefix}{unit}".rstrip()


def prefixed(value: float, /) -> tuple[float, str]:
    """Return the factor and the prefix that make a number read well."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return 1 / size, prefix
    return 1.0, ""
