"""Measure how far a board's readings can be trusted: its sensors, its energy counter, square waves, short loads."""
