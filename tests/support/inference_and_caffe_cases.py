"""Cases of launchers of Caffe's, Caffe2's, MXNet's, TensorRT's and OpenVINO's own programs."""

from dataclasses import replace
from pathlib import PurePosixPath

from orchestrator.frameworks import catalogue

DATA = PurePosixPath("/benchdock/data")
SOURCE = PurePosixPath("/benchdock/source")
MXNET = PurePosixPath("/opt/mxnet/example/image-classification")


def of_row(plain, name, model, variant=None, options=None, **changes):
    """What a row's template gets: the program's own name of the model, and the row's options."""
    framework = catalogue.framework(name)
    framework = framework.variants[variant] if variant else framework
    return replace(
        plain,
        model=model,
        network=catalogue.network(framework, model),
        module_path=plain.module_path if framework.backend else (),
        options={
            **{key: option.default for key, option in framework.options.items()},
            **(options or {}),
        },
        **changes,
    )


def cases(plain):
    """Return the cases by name: the template's, and what is special."""
    inference = replace(plain, phase="inference")
    gpu = replace(plain, device="gpu", threads=None)
    gpu_inference = replace(gpu, phase="inference", warmup_seconds=2.0)
    four = replace(gpu, devices=4, batch=32, steps=100, warmup=20)
    return {
        "caffe_time-bvlc": of_row(plain, "caffe_time", "alexnet", "bvlc"),
        "caffe_time-nvidia-inference": of_row(
            gpu_inference, "caffe_time", "resnet50", "nvidia", dtype="float16"
        ),
        "caffe_time-intel-inference": of_row(inference, "caffe_time", "resnet50", "intel"),
        "caffe_time-intel-engine": of_row(
            plain, "caffe_time", "resnet50", "intel", options={"engine": "CAFFE"}
        ),
        "caffe_train-intel-engine": of_row(
            plain, "caffe_train", "resnet50", "intel", options={"engine": "MKL2017"}
        ),
        "caffe_time-own": replace(
            of_row(plain, "caffe_time", "alexnet", "bvlc"),
            model="mine",
            network="",
            model_file=PurePosixPath("/benchdock/model/my net.prototxt"),
        ),
        "caffe_train-own": of_row(
            plain,
            "caffe_train",
            "alexnet",
            "bvlc",
            source=SOURCE,
            options={"prototxt": "a/my net.prototxt"},
        ),
        "onnxruntime_perf_test-cpu": of_row(
            inference, "onnxruntime_perf_test", "resnet18", source=SOURCE
        ),
        "onnxruntime_perf_test-gpu": of_row(
            gpu_inference,
            "onnxruntime_perf_test",
            "resnet50",
            source=SOURCE,
            options={"provider": "tensorrt", "concurrent": "2"},
        ),
        "caffe_train-bvlc": of_row(plain, "caffe_train", "alexnet", "bvlc"),
        "caffe_train-nvidia-4": of_row(four, "caffe_train", "resnet50", "nvidia", data=DATA),
        "caffe2_net-cpu": of_row(plain, "caffe2_net", "alexnet_owt"),
        "caffe2_net-gpu-inference": of_row(
            gpu_inference, "caffe2_net", "vgg11", options={"engine": "CUDNN"}
        ),
        "caffe2_trainer-cpu": of_row(plain, "caffe2_trainer", "resnet50_v1.5"),
        "caffe2_trainer-gpu-4": of_row(
            four,
            "caffe2_trainer",
            "resnet101_v1.5",
            dtype="float16",
            data=DATA,
            options={"nccl": "on", "tensor_cores": "on"},
        ),
        "mxnet_score-cpu": of_row(inference, "mxnet_score", "resnet50_v2", source=SOURCE),
        "mxnet_score-gpu": of_row(
            gpu_inference, "mxnet_score", "vgg16", source=MXNET, dtype="tf32"
        ),
        "mxnet_train_imagenet-cpu": of_row(
            plain,
            "mxnet_train_imagenet",
            "inception_resnet_v2",
            source=SOURCE,
            data=DATA,
            flags={"data-nthreads": "8"},
        ),
        "mxnet_train_imagenet-gpu-4": of_row(
            four, "mxnet_train_imagenet", "resnet50_v2", source=MXNET, dtype="float16"
        ),
        "tensorrt_caffe-3": of_row(gpu_inference, "tensorrt", "vgg16", "3", dtype="float16"),
        "tensorrt_caffe-5": of_row(gpu_inference, "tensorrt", "vgg16", "5", dtype="float16"),
        "tensorrt_caffe-7": of_row(
            gpu_inference, "tensorrt", "googlenet", "7", dtype="int8", flags={"useSpinWait": ""}
        ),
        "tensorrt-8": of_row(gpu_inference, "tensorrt", "vgg16", "8", dtype="int8"),
        "tensorrt-11": of_row(gpu_inference, "tensorrt", "vgg16", "11"),
        "tensorrt-11-int8": of_row(gpu_inference, "tensorrt", "vgg16", "11", dtype="int8"),
        "tensorrt-gpu": of_row(
            gpu_inference,
            "tensorrt",
            "resnet50",
            "10",
            dtype="float16",
            flags={"builderOptimizationLevel": "5"},
        ),
        "openvino_benchmark_app-hint": of_row(inference, "openvino_benchmark_app", "resnet50"),
        "openvino_benchmark_app-streams": of_row(
            inference,
            "openvino_benchmark_app",
            "resnet50",
            options={"hint": "none", "streams": "2", "requests": "2"},
            threads=None,
        ),
    }
