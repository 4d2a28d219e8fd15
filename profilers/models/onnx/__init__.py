"""An ONNX file as data: what it would load, its inputs, parameters and floating-point operations; no torch, nothing is run."""
