"""Zoo networks as ONNX files, for whatever runs those: ONNX Runtime, OpenVINO, TensorRT."""
