"""Draw a view as Altair charts: accuracy against each cost, which weights choose which model, and how sure the choice is."""

from ecosel.report.charts.panels import frontier, robustness, weight_strip

__all__ = ["frontier", "robustness", "weight_strip"]
