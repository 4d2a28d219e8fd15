"""Show text from strangers' files: replace terminal control characters, and cut text that is too long for a drawing."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_SPACE = "\u00a0"


def printable(text: str, /) -> str:
    """Replace terminal control characters (a name from a stranger's file may contain escape sequences).

    Joiners between letters or emoji stay: Asian scripts and compound emoji need them.
    """
    return "".join(
        c if c.isprintable() or c == _SPACE or (c in _JOINERS and _joins(text[k - 1 : k], text[k + 1 : k + 2])) else "\ufffd"
        for k, c in enumerate(text)
    )


def _joins(before: str, after: str) -> bool:
    return bool(before and after) and all(unicodedata.category(c)[0] in "LM" or unicodedata.category(c) in ("So", "Sk")
                                          for c in (before, after))  # fmt: skip


def shortened(text: str, /, most: int) -> str:
    """Cut a text that is too long for a drawing, and replace unprintable characters."""
    text = printable(text[: most + 2])
    if len(text) <= most:
        return text
    return text[: most - 1].rstrip(_JOINERS + "\ufe0f") + "…"
