"""Tables written as text: delimited cells, Markdown."""
