"""Others' TensorFlow programs: TensorFlow's benchmarks and NVIDIA's examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.frameworks.record import Framework, LaterSource, Option, StepRules, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Dtype

_ON_OFF = ("on", "off")
_GPU: tuple[Dtype, ...] = ("float32", "tf32", "float16")
_VOLTA: tuple[Dtype, ...] = ("float32", "float16")
_GOOGLENET = "has no LRN"
# NVIDIA's ResNets of basic blocks.
_BASIC = "has a convolution in the shortcut of every block"
_ALWAYS_SEEDED = {"seed": "it seeds TensorFlow with a fixed number"}

TF_CNN_BENCHMARKS = Framework(
    name="tf_cnn_benchmarks",
    title="TensorFlow's tf_cnn_benchmarks",
    ours=False,
    program="tf_cnn_benchmarks",
    launcher="tf_cnn_benchmarks",
    package="tensorflow",
    processes="variable_update=horovod",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): _GPU,
        ("gpu", "inference"): _GPU,
    },
    # Upstream's branches cnn_tf_v1.8_compatible to cnn_tf_v2.1_compatible run on 1.15.
    images={"cpu": "tensorflow1-cpu", "gpu": "ngc-tensorflow-23-03-tf1"},
    networks={
        name: name
        for name in (
            *("alexnet", "googlenet", "inception3", "inception4", "lenet", "overfeat", "trivial"),
            *("resnet50", "resnet50_v1.5", "resnet50_v2", "resnet101", "resnet101_v2"),
            *("resnet152", "resnet152_v2", "vgg11", "vgg16", "vgg19"),
            *(f"official_resnet{n}" for n in (18, 34, 50, 101, 152, 200)),
            *(f"official_resnet{n}_v2" for n in (18, 34, 50, 101, 152, 200)),
        )
    },
    options={
        "variable_update": Option(
            "how devices share variables; auto: replicated on several GPUs, else parameter_server",
            "auto",
            ("auto", "parameter_server", "replicated", "independent", "horovod"),
            needs={"horovod": "horovod_device"},
        ),
        "all_reduce": Option("how replicated variables are summed; none: through the host", "nccl",
                             ("nccl", "none")),
        "parameter_device": Option(
            "where variables are; auto: the device that computes", "auto", ("auto", "cpu", "gpu")
        ),
        "data_format": Option("auto: NHWC on the CPU, NCHW on a GPU", "auto",
                              ("auto", "NCHW", "NHWC")),
        "optimizer": Option("how weights are updated", "sgd",
                            ("momentum", "sgd", "rmsprop", "adam"), needs={"adam": "adam"}),
        "xla": Option("XLA's automatic clustering", "off", _ON_OFF),
        "xla_compile": Option(
            "compile the whole graph with XLA", "off", _ON_OFF, needs={"on": "xla_compile"}
        ),
        "display_every": Option("steps between two printed lines", "10"),
    },
    step_rules=StepRules(
        # The release for TensorFlow 1.5 starts its clock with the second step, and notices its end
        # late.
        least_steps_where={"\n  tf.app.run()": 3},
    ),
    vendor=VendorProgram(
        # Upstream's master imports a module that 2.12 does not have, and classes of Keras 2.
        later_source=LaterSource(
            file="models/model.py",
            word="import variable_v1",
            framework="tensorflow",
            title="TensorFlow",
            first="2.13",
            last="2.15",
            newer_with="TF_USE_LEGACY_KERAS",
            images={"cpu": "tensorflow-cpu"},
            otherwise="use upstream's branch cnn_tf_v1.15_compatible, or --image",
        ),
        differs={
            "alexnet": "has widths 64-192-384-384-256 and no LRN: neither of the zoo's",
            "googlenet": _GOOGLENET,
            **{
                f"official_resnet{n}{version}": "needs the folder `official` of tensorflow/models "
                "beside the program"
                for n in (18, 34, 50, 101, 152, 200)
                for version in ("", "_v2")
            },
        },
        source_help="a folder with tf_cnn_benchmarks.py (scripts/tf_cnn_benchmarks of "
        "github.com/tensorflow/benchmarks)",
        entry="tf_cnn_benchmarks.py",
        flags=True,
    ),
)  # fmt: skip

# Its evaluation needs a checkpoint, so it only trains. Its images are older than the tf1/tf2 tags.
NVCNN = Framework(
    name="nvcnn",
    title="NVIDIA's nvcnn.py (TensorFlow images up to about 18.05)",
    ours=False,
    program="nvcnn",
    launcher="nvcnn",
    package="tensorflow",
    dtypes={("gpu", "training"): _VOLTA},
    images={},
    networks={
        "alexnet_owt": "alexnet",
        "inception_resnet_v2": "inception-resnet2",
        **{
            name: name
            for name in (
                *("googlenet", "inception3", "inception4", "overfeat"),
                *(f"vgg{n}" for n in (11, 13, 16, 19)),
                *(f"resnet{n}" for n in (18, 34, 50, 101, 152)),
                *(f"resnext{n}" for n in (50, 101, 152)),
            )
        },
    },
    options={
        "display_every": Option("steps between two printed lines", "10"),
        "loss_scale": Option(
            "loss scale, against underflow of float16; default: the program's, which cannot be "
            "changed in early releases",
            needs={"": "loss_scale"},
        ),
    },
    step_rules=StepRules(warmup=20),
    vendor=VendorProgram(
        differs={
            "googlenet": _GOOGLENET,
            "resnet18": f"{_BASIC}, and blocks four times as wide at their end",
            "resnet34": f"{_BASIC}, and blocks four times as wide at their end",
        },
        source_help="a folder with nvcnn.py",
        entry="nvcnn.py",
        home="/workspace/nvidia-examples/cnn",
        ignores=_ALWAYS_SEEDED,
        flags=True,
    ),
)

# 18.06 and later: one script per network; Horovod runs one process per GPU.
NVTFCNN = Framework(
    name="nvtfcnn",
    title="NVIDIA's nvidia-examples/cnn (TensorFlow images from 18.06 on)",
    ours=False,
    program="nvtfcnn",
    launcher="nvtfcnn",
    package="tensorflow",
    processes="always",
    dtypes={("gpu", "training"): _GPU},
    images={"gpu": "ngc-tensorflow-23-03-tf1"},
    networks={
        "alexnet_owt": "alexnet.py",
        "googlenet": "googlenet.py",
        "inception3": "inception_v3.py",
        "inception4": "inception_v4.py",
        "inception_resnet_v2": "inception_resnet_v2.py",
        "overfeat": "overfeat.py",
        "xception": "xception.py",
        **{f"resnet{n}": f"resnet.py --layers={n}" for n in (18, 34, 50, 101, 152)},
        **{f"resnext{n}": f"resnext.py --layers={n}" for n in (50, 101, 152)},
        **{f"vgg{n}": f"vgg.py --layers={n}" for n in (11, 13, 16, 19)},
    },
    options={
        "display_every": Option("steps of one printed window", "10"),
        "xla": Option(
            "compile with XLA; the default is on for releases from 2020 on, off for older ones",
            "off",
            _ON_OFF,
            needs={"on": "use_xla"},
        ),
    },
    step_rules=StepRules(least_steps=30),
    vendor=VendorProgram(
        differs={
            "googlenet": _GOOGLENET,
            "resnet18": f"{_BASIC}; before 2019 also blocks four times as wide at their end",
            "resnet34": f"{_BASIC}; before 2019 also blocks four times as wide at their end",
        },
        source_help="a folder with resnet.py and nvutils, of TensorFlow 1",
        entry="resnet.py",
        home="/workspace/nvidia-examples/cnn",
        holds=("gpu",),
        unfit_tags={
            "-tf2-": (
                "its nvidia-examples/cnn is for TensorFlow 2, a different program with one network",
                "use an image with -tf1- in its tag, 23.03 at most, or use -f tensorflow",
            )
        },
        ignores={
            **_ALWAYS_SEEDED,
            "warmup": "it times all windows, and the first ones of its table are left out",
        },
        flags=True,
    ),
)

DEEPLEARNINGEXAMPLES = Framework(
    name="deeplearningexamples_tensorflow",
    title="NVIDIA DeepLearningExamples, TensorFlow",
    ours=False,
    program="deeplearningexamples",
    launcher="deeplearningexamples_tensorflow",
    package="tensorflow",
    backend="backends.stand_ins",  # for dllogger
    processes="always",
    dtypes={("gpu", "training"): _GPU, ("gpu", "inference"): _GPU},
    images={"gpu": "ngc-tensorflow-23-03-tf1"},
    networks={
        "resnet50_v1.5": "resnet50",
        "resnext101_32x4d": "resnext101-32x4d",
        "se_resnext101_32x4d": "se-resnext101-32x4d",
    },
    options={
        "xla": Option("compile with XLA", "off", _ON_OFF),
        "data_format": Option("layout", "NHWC", ("NHWC", "NCHW")),
        "loss_scale": Option("static loss scale of float16; auto: dynamic", "128"),
        "display_every": Option("steps between two printed rates", "10"),
    },
    vendor=VendorProgram(
        source_help="the folder TensorFlow/Classification/ConvNets of "
        "github.com/NVIDIA/DeepLearningExamples (June 2020 or later)",
        entry="main.py",
        home="/workspace/rn50v15_tf",
        flags=True,
    ),
)

ENTRIES = (TF_CNN_BENCHMARKS, NVCNN, NVTFCNN, DEEPLEARNINGEXAMPLES)
