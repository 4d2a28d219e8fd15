"""Show a selection as text, Markdown, JSON or a frame."""
