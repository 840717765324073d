"""ONNX Runtime and OpenVINO: the same ONNX file, run by five handwritten lines."""

import importlib
import io
import sys

from backends import zoo
from backends.harness import machine
from backends.onnx.build import serialised
from backends.zoo import weights
from tests.bench.twins.pairing import compare, our_job

BATCH = 4
MODELS = ("resnet50", "vgg16", "inception3", "googlenet")


def onnxruntime_twin(path, batch):
    """A session with as many threads as ours."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.cpus()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": batch})


def openvino_twin(path, batch):
    """A model compiled for latency: one request at a time, as ours."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": machine.cpus(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core = openvino.Core()
    network = core.compile_model(core.read_model(io.BytesIO(path)), "CPU", settings)
    return lambda: network(batch)


def main(framework, models):
    """Compare some networks."""
    step = importlib.import_module(f"backends.{framework}.step")
    twin = {"onnxruntime": onnxruntime_twin, "openvino": openvino_twin}[framework]
    for model in models:
        graph = zoo.draw(model)
        job = our_job(step, model, "inference", BATCH)
        bare = twin(serialised(graph, 0, BATCH), weights.inputs(graph, BATCH, 0))
        compare(model, "inference", BATCH, job.step, bare)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or MODELS)
