"""Measure what a board's readings are worth: its sensors, its energy counter, square waves, short loads."""
