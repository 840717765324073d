"""Networks of the zoo as ONNX files, for ONNX Runtime, OpenVINO and TensorRT."""
