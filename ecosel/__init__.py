"""Choose among trained networks by accuracy, energy per inference, inference time and parameters.

The rooms, in the order of the flow:

- readers: any file that holds a table of models, as an Archive; cells, text, stores, tools, derived
- dominance: which rows dominate which
- choosing: clean the rows (cleaning), find the fronts, score them, and determine how certain the choice is
- output: a selection as text, Markdown, JSON or a frame
- selection: the library's face, `select()`
- report: a selection as one offline HTML page or a static figure
- cli: the commands
"""

__version__ = "0.1.0"
