"""Identify the sensor behind a meter by a known load: its update period, its averaging window, its lag."""
