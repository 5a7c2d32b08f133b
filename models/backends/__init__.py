"""Run an ONNX network on the best engine that agrees with the CPU."""
