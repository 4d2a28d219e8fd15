"""What runs a saved model, each behind the protocol of `profilers.measuring.runtime`: PyTorch and ONNX Runtime."""
