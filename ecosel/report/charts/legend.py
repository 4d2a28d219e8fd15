"""Say what the marks of the charts mean."""

from __future__ import annotations

from markupsafe import Markup

_GLYPHS = {
    "model": '<circle cx="9" cy="8" r="2.5" fill="var(--model)"/>',
    "on the Pareto front of the two objectives": '<circle cx="9" cy="8" r="3.5" fill="var(--front)"/>',
    "its 95 % interval": '<path d="M9 1V15M3 8H15" stroke="var(--front)" stroke-width="1.2"/>',
    "best on the horizontal axis": '<rect x="3" y="2" width="12" height="12" fill="none" stroke="var(--low)" stroke-width="2"/>',
    "best on the vertical axis": '<path d="M9 1.5 16 14H2Z" fill="none" stroke="var(--high)" stroke-width="2"/>',
    "best trade-off of these two": '<path d="M9 1 14 8 9 15 4 8Z" fill="var(--pick)"/>',
    "best trade-off of all objectives": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--pick)" stroke-width="1.8"/>',
    "marked": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--ink)" stroke-width="2.5"/>',
    "pinned": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--high)" stroke-width="2"/>',
    "outside the limits, or filtered out": '<circle cx="9" cy="8" r="2.5" fill="none" stroke="var(--model)"/>',
}


def legend(*, has_errors: bool, objectives: int) -> list[tuple[str, Markup]]:
    """Return the words and the drawing of each mark in charts with this number of objectives."""
    absent = {"its 95 % interval": not has_errors, "best trade-off of all objectives": objectives < 3}
    return [(words, Markup(glyph)) for words, glyph in _GLYPHS.items() if not absent.get(words)]
