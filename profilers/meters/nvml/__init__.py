"""Read NVIDIA boards; the only room that imports pynvml."""
