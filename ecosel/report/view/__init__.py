"""Decide what a page draws, as data: models, letters, axes, marks."""
