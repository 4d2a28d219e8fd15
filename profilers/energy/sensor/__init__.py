"""Identify the sensor behind a meter with a known load: its update period, averaging window and lag."""
