"""Which fork or release a run has, according to the user or the image, before anything starts."""

import pytest

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue, record
from orchestrator.request import Request
from orchestrator.run import program_rules, variants
from orchestrator.run.checks import framework_for
from orchestrator.run.devices import Target


def settled(framework, device="gpu", model="vgg16", **changes):
    changes.setdefault("phase", "inference")
    request = Request(model=model, framework=framework, **changes)
    return variants.settle(catalogue.framework(framework), request, device)


def of(row):
    return (row.options.get("fork") or row.options["release"]).default


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("nvcr.io/nvidia/tensorrt:18.01-py2", "3"),
        ("nvcr.io/nvidia/tensorrt:18.05-py3", "3"),
        ("nvcr.io/nvidia/tensorrt:18.06-py3", "4"),
        ("nvcr.io/nvidia/tensorrt:18.12-py3", "5"),
        ("nvcr.io/nvidia/tensorflow:19.04-py3", "5"),
        ("nvcr.io/nvidia/tensorrt:19.12-py3", "6"),
        ("mirror.example:5000/nvidia/tensorrt:21.06-py3", "7"),
        ("nvcr.io/nvidia/tensorrt:22.07-py3", "8"),
        ("nvcr.io/nvidia/pytorch:24.06-py3", "10"),
        ("nvcr.io/nvidia/tensorrt:26.05-py3", "10"),
        ("nvcr.io/nvidia/tensorrt:26.06-py3", "11"),
        (None, "10"),
    ],
)
def test_the_month_of_an_image_tells_tensorrts_release(image, release):
    assert of(settled("tensorrt", image=image)) == release


LATER = "from tensorflow.python.ops import variable_v1\n"


@pytest.fixture
def tf_cnn_benchmarks(tmp_path):
    """Return a function that settles tf_cnn_benchmarks for a state of its source."""

    def settle(device, code=LATER, **changes):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "model.py").write_text(code)
        return settled("tf_cnn_benchmarks", device, source=tmp_path, **changes)

    return settle


@pytest.mark.parametrize(
    ("device", "code", "image"),
    [
        ("cpu", LATER, "tensorflow-cpu"),
        ("cpu", "import tensorflow as tf\n", "tensorflow1-cpu"),
        ("gpu", "import tensorflow as tf\n", "ngc-tensorflow-23-03-tf1"),
    ],
)
def test_the_code_of_tf_cnn_benchmarks_says_which_tensorflow_it_needs(
    tf_cnn_benchmarks, device, code, image
):
    assert tf_cnn_benchmarks(device, code).images[device] == image


def test_without_readable_code_it_is_of_tensorflow_1(tmp_path):
    assert settled("tf_cnn_benchmarks", "cpu").images["cpu"] == "tensorflow1-cpu"
    row = settled("tf_cnn_benchmarks", "cpu", source=tmp_path)
    assert row.images["cpu"] == "tensorflow1-cpu"


def test_no_image_for_gpus_runs_the_last_tf_cnn_benchmarks(tf_cnn_benchmarks):
    with pytest.raises(RequestError) as refused:
        tf_cnn_benchmarks("gpu")
    assert str(refused.value) == (
        "the tf_cnn_benchmarks in --source needs TensorFlow 2.13 to 2.15, and benchdock has no "
        "such image for the GPU; use upstream's branch cnn_tf_v1.15_compatible, or --image"
    )


@pytest.mark.parametrize(
    ("device", "image", "release", "hint"),
    [
        ("gpu", "ngc-tensorflow-23-03-tf1", "1.15.5", "use upstream's branch"),
        ("gpu", "nvcr.io/nvidia/tensorflow:21.05-tf1-py3", "1.15", "use upstream's branch"),
        ("gpu", "ngc-tensorflow-23-01", "2.11.0", "use upstream's branch"),
        ("gpu", "nvcr.io/nvidia/tensorflow:25.02-tf2-py3", "2.17", "use upstream's branch"),
        ("cpu", "tensorflow1-cpu", "1.15.5", "use --image tensorflow-cpu"),
    ],
)
def test_an_image_with_another_tensorflow_is_refused(
    tf_cnn_benchmarks, device, image, release, hint
):
    with pytest.raises(RequestError) as refused:
        tf_cnn_benchmarks(device, image=image)
    assert f"2.13 to 2.15, but {image} has {release}; {hint}" in str(refused.value)


@pytest.mark.parametrize(
    ("image", "env"),
    [
        ("tensorflow-cpu", {}),
        ("me/tensorflow:2.14", {}),
        ("nvcr.io/nvidia/pytorch:24.06-py3", {}),
        ("nvcr.io/nvidia/tensorflow:22.06-tf2-py3", {}),  # NVIDIA says only that it is 2
        ("nvcr.io/nvidia/tensorflow:25.02-tf2-py3", {"TF_USE_LEGACY_KERAS": "1"}),
    ],
)
def test_any_other_image_is_the_users_choice(tf_cnn_benchmarks, image, env):
    assert tf_cnn_benchmarks("cpu", image=image, env=env).images == {"cpu": "tensorflow-cpu"}


@pytest.mark.parametrize("image", ["me/trt:8.6", "nvcr.io/nvidia/tensorrt:17.12", "nvidia/cuda:12"])
def test_an_image_that_does_not_tell_its_release_is_asked_about(image):
    with pytest.raises(RequestError, match=r"unknown release of TensorRT .*; use --option"):
        settled("tensorrt", image=image)
    assert of(settled("tensorrt", image=image, options={"release": "8"})) == "8"


@pytest.mark.parametrize(
    ("image", "device", "fork"),
    [
        (None, "cpu", "bvlc"),
        (None, "gpu", "nvidia"),
        ("benchdock/legacy-cpu:1.0.0", "cpu", "bvlc"),
        ("nvcr.io/nvidia/caffe:17.12", "gpu", "nvidia"),
        ("nvcr.io/nvidia/digits:19.04-caffe", "gpu", "nvidia"),
        ("bvlc/caffe:gpu", "gpu", "bvlc"),
        ("bvlc/caffe:intel", "cpu", "intel"),
    ],
)
@pytest.mark.parametrize("framework", ["caffe_time", "caffe_train"])
def test_the_image_tells_the_fork_of_caffe(framework, image, device, fork):
    assert of(settled(framework, device, image=image)) == fork


def test_what_the_user_says_wins_and_a_mistyped_one_gets_a_suggestion():
    image = "nvcr.io/nvidia/caffe:17.12"
    assert of(settled("caffe_time", image=image, options={"fork": "bvlc"})) == "bvlc"
    with pytest.raises(RequestError, match=r"unknown fork of caffe_time 'nvidea'; did you mean"):
        settled("caffe_time", options={"fork": "nvidea"})
    with pytest.raises(RequestError, match="unknown fork of caffe time in me/caffe:1"):
        settled("caffe_time", image="me/caffe:1")


def test_a_fork_without_an_image_of_ours_is_refused_where_one_is_looked_for():
    row = settled("caffe_time", "cpu", options={"fork": "intel"})
    assert of(row) == "intel"
    assert row.images == {}


def test_without_an_image_for_the_device_there_is_nothing_to_settle():
    framework = catalogue.framework("tensorrt")
    assert settled("tensorrt", "cpu") is framework
    request = Request(model="vgg16", framework="tensorrt", phase="inference")
    with pytest.raises(RequestError, match="tensorrt does not support inference on the CPU"):
        framework_for(request, "cpu")


def test_rows_without_variants_stay_as_they_are():
    framework = catalogue.framework("pytorch")
    assert variants.settle(framework, Request(model="x", framework="pytorch"), "cpu") is framework


@pytest.mark.parametrize(
    ("release", "changes", "says"),
    [
        ("7", {"model": "resnet50_v1.5"}, "rounds the size of every pooling up"),
        ("5", {"model": "acoustic_model"}, "only accepts images"),
        ("8", {"dtype": "bfloat16"}, "does not support inference in bfloat16"),
        ("7", {"dtype": "tf32"}, "does not support inference in tf32"),
        ("4", {"warmup": 3}, "leaves out 0 steps"),
        (
            "10",
            {"phase": "training"},
            "does not support training on the GPU; it supports inference there",
        ),
    ],
)
def test_each_release_refuses_what_it_cannot_do(release, changes, says):
    given = {"model": "vgg16", "phase": "inference", **changes}
    request = Request(framework="tensorrt", options={"release": release}, **given)
    with pytest.raises(RequestError, match=says):
        framework_for(request, "gpu")


@pytest.mark.parametrize(
    "told", [{"options": {"release": "11"}}, {"image": "nvcr.io/nvidia/pytorch:26.07-py3"}]
)
def test_tensorrt_11_computes_as_the_network_is_written(told):
    request = Request(framework="tensorrt", model="resnet50", phase="inference", **told)
    gpu = Target(device="gpu", gpus=("0",))
    for other in ("float32", "tf32", "float16", "bfloat16", "int8"):
        row = framework_for(request.model_copy(update={"dtype": other}), gpu.device)
        assert (of(row), row.launcher) == ("11", "tensorrt")


def test_releases_that_would_take_little_memory_are_given_more():
    for release, row in catalogue.framework("tensorrt").variants.items():
        given = {"8": "4096", "9": None, "10": None, "11": None}.get(release, "1024")
        option = row.options.get("workspace")
        assert (option.default if option else None) == given


def test_bfloat16_came_with_release_9():
    for release, row in catalogue.framework("tensorrt").variants.items():
        assert ("bfloat16" in row.dtypes["gpu", "inference"]) == (int(release) >= 9)


def test_the_users_network_needs_its_file_and_has_no_fingerprint(tmp_path):
    (tmp_path / "mine.prototxt").write_text("")
    options = {"prototxt": "mine.prototxt"}
    row = settled("caffe_time", "cpu", "my_net", options=options)
    request = Request(model="my_net", framework="caffe_time", options=options)
    with pytest.raises(RequestError, match=r"point --source to the folder of mine\.prototxt"):
        program_rules.check(row, request, "cpu")
    with pytest.raises(RequestError, match=r"does not contain mine\.prototxt"):
        program_rules.check(row, request.model_copy(update={"source": tmp_path.parent}), "cpu")
    program_rules.check(row, request.model_copy(update={"source": tmp_path}), "cpu")
    assert catalogue.network(row, "my_net") == "my_net"
    assert catalogue.fingerprint(row, "my_net") is None


@pytest.mark.parametrize("file", ["/etc/passwd", "../x.prototxt", "a/../../x"])
def test_a_network_outside_its_folder_is_refused(file):
    with pytest.raises(RequestError, match="use a path within --source"):
        settled("caffe_time", "cpu", "my_net", options={"prototxt": file})


def test_the_users_network_needs_a_plain_name():
    with pytest.raises(RequestError, match="is not a valid model name"):
        settled("caffe_time", "cpu", "../x", options={"prototxt": "x.prototxt"})


def test_programs_with_fixed_counts_say_so():
    score = catalogue.framework("mxnet_score")
    request = Request(model="alexnet", framework="mxnet_score", phase="inference")
    assert record.settle_counts(score, request, "gpu") == (32, 10, 5)
    with pytest.raises(RequestError, match="always times 10 steps; remove --steps"):
        record.settle_counts(score, request.model_copy(update={"steps": 20}), "gpu")


@pytest.mark.parametrize(
    ("asked", "settled"),
    [((20, 3), (21, 3)), ((100, 20), (100, 20)), ((5, 0), (5, 1)), ((7, None), (9, 3))],
)
def test_programs_with_windows_time_whole_ones(asked, settled):
    framework = catalogue.framework("mxnet_train_imagenet")
    steps, warmup = asked
    request = Request(model="alexnet", framework=framework.name, steps=steps, warmup=warmup)
    assert record.settle_counts(framework, request, "cpu")[1:] == settled


def test_options_of_tensorrt_are_known_though_its_row_is_ours():
    row = settled("tensorrt")
    request = Request(model="vgg16", framework="tensorrt", options={"flag.useSpinWait": ""})
    program_rules.check(row, request, "gpu")
    assert program_rules.flags_of(request) == {"useSpinWait": ""}
    running = {"cuda_graph": "on", "transfers": "off", "streams": "1"}
    assert program_rules.options_of(row, request) == {"release": "10", **running}
    with pytest.raises(RequestError, match="unknown option of tensorrt 'builderLevel'"):
        program_rules.check(
            row, request.model_copy(update={"options": {"builderLevel": "5"}}), "gpu"
        )


@pytest.mark.parametrize("framework", ["caffe_time", "caffe_train"])
def test_only_intels_caffe_has_a_choice_of_engine(framework):
    def asked(fork, engine):
        request = Request(
            model="resnet50",
            framework=framework,
            phase="training",
            image="me/caffe:1",
            options={"fork": fork, "engine": engine},
        )
        return framework_for(request, "cpu")

    assert of(asked("intel", "CAFFE")) == "intel"
    with pytest.raises(RequestError, match=r"unknown option of .* 'engine'"):
        asked("bvlc", "CAFFE")
    with pytest.raises(RequestError, match="engine cannot be 'CUDNN'"):
        asked("intel", "CUDNN")


@pytest.mark.parametrize("framework", ["bvlc_caffe", "nvidia_caffe"])
def test_our_own_programs_for_other_forks_have_no_engine(framework):
    assert "engine" not in catalogue.framework(framework).options
    engine = catalogue.framework("intel_caffe").options["engine"]
    assert engine.values == ("auto", "MKLDNN", "CAFFE", "MKL2017")


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_tensorrt_11_cannot_change_the_types_of_your_file(dtype, tmp_path):
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"")
    request = Request(
        framework="tensorrt", model="mine", model_file=file, phase="inference", dtype=dtype,
        options={"release": "11"},
    )  # fmt: skip
    with pytest.raises(RequestError, match="in the types that your file is written in; use one of"):
        framework_for(request, "gpu")
