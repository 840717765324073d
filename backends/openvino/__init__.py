"""OpenVINO: inference of the zoo's ONNX models on the CPU."""
