"""Measure several models or settings so that they compare: in turn, or each in a process of its own."""
