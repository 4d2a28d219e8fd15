"""Meters of power and energy: NVML, RAPL, a recorded trace, a declared constant."""
