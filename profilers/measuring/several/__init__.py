"""Measure several models or settings so that they can be compared: in turn, or each in its own process."""
