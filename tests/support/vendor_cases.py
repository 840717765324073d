"""Launcher contexts of vendors' programs, made from their rows as in a plan."""

from dataclasses import replace
from pathlib import PurePosixPath

from orchestrator.frameworks import catalogue
from orchestrator.request import Request
from orchestrator.run import program_rules

SOURCE = PurePosixPath("/benchdock/source")
DATA = PurePosixPath("/benchdock/data")


def context(plain, name, model, *, options=None, source=SOURCE, **changes):
    """Return the context of a framework with its own defaults."""
    framework = catalogue.framework(name)
    request = Request(model=model, framework=name, options=options or {})
    program_rules.check_options(framework, request.options)
    return replace(
        plain,
        model=model,
        module_path=plain.module_path if framework.backend or "nodes" in changes else (),
        network=catalogue.network(framework, model),
        block=framework.step_rules.block,
        source=source,
        options=program_rules.options_of(framework, request),
        flags=program_rules.flags_of(request),
        **changes,
    )


def cases(plain):
    """Return every case by its name, which begins with the template's."""
    one = {"device": "gpu", "threads": None, "steps": 100, "warmup": 20}
    four = {**one, "devices": 4}

    def made(name, model, **changes):
        return context(plain, name, model, **changes)

    return {
        "tf_cnn_benchmarks-cpu": made("tf_cnn_benchmarks", "resnet50"),
        "tf_cnn_benchmarks-gpu-4": made(
            "tf_cnn_benchmarks",
            "vgg16",
            phase="inference",
            dtype="float16",
            data=DATA,
            options={"xla": "on", "data_format": "NHWC", "flag.sync_on_finish": "true"},
            **four,
        ),
        "tf_cnn_benchmarks-horovod": made(
            "tf_cnn_benchmarks",
            "resnet50_v1.5",
            dtype="tf32",
            options={"variable_update": "horovod", "parameter_device": "cpu"},
            **four,
        ),
        "nvcnn-gpu-4": made(
            "nvcnn",
            "alexnet_owt",
            dtype="float16",
            source=PurePosixPath("/workspace/nvidia-examples/cnn"),
            **four,
        ),
        "nvtfcnn-gpu": made(
            "nvtfcnn", "resnet50", options={"xla": "on"}, dtype="float16", data=DATA, **one
        ),
        "nvtfcnn-gpu-4": made("nvtfcnn", "googlenet", dtype="tf32", **four),
        "deeplearningexamples_tensorflow-gpu": made(
            "deeplearningexamples_tensorflow", "resnet50_v1.5", phase="inference", **one
        ),
        "deeplearningexamples_tensorflow-gpu-4": made(
            "deeplearningexamples_tensorflow",
            "resnext101_32x4d",
            dtype="float16",
            data=DATA,
            options={"xla": "on"},
            **four,
        ),
        "deeplearningexamples_pytorch-gpu": made(
            "deeplearningexamples_pytorch", "resnet50_v1.5", phase="inference", **one
        ),
        "deeplearningexamples_pytorch-gpu-4": made(
            "deeplearningexamples_pytorch",
            "resnet50_v1.5",
            dtype="float16",
            data=DATA,
            options={"memory_format": "nhwc"},
            **four,
        ),
        "deeplearningexamples_mxnet-gpu": made(
            "deeplearningexamples_mxnet", "resnet50_v1.5", phase="inference", data=DATA, **one
        ),
        "deeplearningexamples_mxnet-gpu-4": made(
            "deeplearningexamples_mxnet", "resnet50", dtype="float16", **four
        ),
        "horovod_tensorflow-gpu-4": made("horovod_tensorflow", "resnet50", **four),
        "horovod_pytorch-cpu": made(
            "horovod_pytorch", "resnet50_v1.5", options={"fp16_allreduce": "on"}
        ),
        "horovod_pytorch-nodes": made(
            "horovod_pytorch",
            "resnet18",
            devices=4,
            prefix=("srun", "--nodes=2", "--export=ALL,BENCHDOCK_NODES=2"),
            nodes=2,
        ),
        "pytorch_imagenet-cpu": made("pytorch_imagenet", "resnet18", phase="inference"),
        "pytorch_imagenet-gpu-4": made("pytorch_imagenet", "resnet50_v1.5", data=DATA, **four),
        "torchvision_references-cpu": made(
            "torchvision_references", "resnet18", options={"image_size": "160"}
        ),
        "torchvision_references-gpu-4": made(
            "torchvision_references", "resnet50_v1.5", dtype="float16", data=DATA, **four
        ),
        "torchvision_references-gpu": made(
            "torchvision_references",
            "vgg16",
            phase="inference",
            options={"flag.channels-last": ""},
            **one,
        ),
        "torchbench-cpu": made("torchbench", "resnet18", phase="inference"),
        "torchbench-gpu": made(
            "torchbench", "resnet50_v1.5", data=DATA, options={"weights": "pretrained"}, **one
        ),
        "timm-cpu": made("timm", "inception3", options={"amp": "off"}, dtype="bfloat16"),
        "timm-network": made(
            "timm", "resnet50_v1.5", dtype="tf32", options={"img_size": "network"}, **one
        ),
        "timm-gpu": made(
            "timm",
            "resnet50_v1.5",
            phase="inference",
            dtype="float16",
            options={"layout": "channels_last", "img_size": "256", "flag.torchscript": ""},
            **one,
        ),
        "custom-cpu": replace(
            plain, module_path=(), command=("./bench", "--batch=8", "it's {x}", "$HOME")
        ),
    }
