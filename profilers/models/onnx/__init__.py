"""An ONNX file as data: its references, inputs, parameters and floating-point operations; no torch, nothing is run."""
