"""Run a model over its batches on a device, score its outputs, and examine it more closely."""
