"""Read tables written as text: delimited cells, Markdown, JSON."""
