"""Examine an ONNX file as data: references, inputs, parameters, floating-point operations. Runs nothing, needs no torch."""
