"""Measurements on a real NVIDIA board."""
