"""Return the scripts of Vega as one text, made once per machine, as making it takes longer than the rest of a page."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed (`window.vegaEmbed`) as one script, from the user's cache if it is there."""
    import vl_convert

    file = _cache_folder() / f"vega-{version('vl-convert-python')}.js"
    kept = _read(file)
    if kept is not None:
        return kept
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise RuntimeError("the bundle of Vega holds what would end its script element")
    with contextlib.suppress(OSError):  # without a writable cache, this only takes longer
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as partial:
                partial.write(_digest(bundle) + "\n" + bundle)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink()
            raise
    return bundle


def _read(file: Path) -> str | None:
    try:
        digest, _, bundle = file.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return bundle if digest == _digest(bundle) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecosel"
