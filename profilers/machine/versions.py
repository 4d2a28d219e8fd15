"""Which versions of packages are installed here."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
