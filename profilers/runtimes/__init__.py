"""Run a saved model with PyTorch or ONNX Runtime, each behind the protocol of `profilers.measuring.runtime`."""
