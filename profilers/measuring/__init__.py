"""Reserve a device, prepare a model, warm up, and measure it."""
