"""The newest image of the table that a machine can use, and the reason if it can use none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.vendor_images import listed
from orchestrator.vendor_images.choice import Choice, choose

TABLE = image_table.load()
NAMED = {
    name: TABLE.image(row.images["gpu"])
    for name, row in catalogue.FRAMEWORKS.items()
    if "gpu" in row.images
}
MACHINES = {
    "4 x K80, 470": ([("Tesla K80", "3.7")] * 4, "470.82.01"),
    "P100, 535": ([("Tesla P100-SXM2-16GB", "6.0")], "535.104.05"),
    "GTX 1080 Ti, 525": ([("NVIDIA GeForce GTX 1080 Ti", "6.1")], "525.105.17"),
    "8 x V100, 450": ([("Tesla V100-SXM2-16GB", "7.0")] * 8, "450.119.03"),
    "8 x V100, 450.51": ([("Tesla V100-SXM2-16GB", "7.0")] * 8, "450.51.06"),
    "8 x V100, 580": ([("Tesla V100-SXM2-16GB", "7.0")] * 8, "580.65.06"),
    "8 x A100, 525": ([("NVIDIA A100-SXM4-80GB", "8.0")] * 8, "525.105.17"),
    "RTX 4090, 525": ([("NVIDIA GeForce RTX 4090", "8.9")], "525.105.17"),
    "RTX 4090, 580": ([("NVIDIA GeForce RTX 4090", "8.9")], "580.65.06"),
    "8 x H200, 570": ([("NVIDIA H200", "9.0")] * 8, "570.86.15"),
    "B200, 580": ([("NVIDIA B200", "10.0")], "580.65.06"),
    "RTX 5090, 570": ([("NVIDIA GeForce RTX 5090", "12.0")], "570.86.15"),
}
# One line per machine: PyTorch, TensorFlow, MXNet, Caffe2, TensorRT; "-" is none.
EXPECTED = {
    "4 x K80, 470": "pytorch-gpu-cuda11 - - - -",
    "P100, 535": "pytorch-gpu-cuda11 ngc-tensorflow-24-06 ngc-mxnet-24-06 ngc-caffe2-18-08 "
    "ngc-pytorch-24-06",
    "GTX 1080 Ti, 525": "pytorch-gpu-cuda11 ngc-tensorflow-23-01 ngc-mxnet-22-11 ngc-caffe2-18-08 "
    "ngc-pytorch-22-11",
    "8 x V100, 450": "pytorch-gpu-cuda11 ngc-tensorflow-23-01 ngc-mxnet-22-11 ngc-caffe2-18-08 "
    "ngc-pytorch-22-11",
    "8 x V100, 450.51": "ngc-pytorch-22-11 ngc-tensorflow-23-01 ngc-mxnet-22-11 ngc-caffe2-18-08 "
    "ngc-pytorch-22-11",
    "8 x V100, 580": "pytorch-gpu-cuda12 ngc-tensorflow-24-06 ngc-mxnet-24-06 ngc-caffe2-18-08 "
    "ngc-pytorch-24-06",
    "8 x A100, 525": "pytorch-gpu-cuda12 ngc-tensorflow-25-02 ngc-mxnet-24-06 - ngc-pytorch-25-02",
    "RTX 4090, 525": "pytorch-gpu-cuda12 ngc-tensorflow-23-01 ngc-mxnet-22-11 - ngc-pytorch-22-11",
    "RTX 4090, 580": "pytorch-gpu ngc-tensorflow-25-02 ngc-mxnet-24-06 - ngc-pytorch-25-02",
    "8 x H200, 570": "pytorch-gpu-cuda12 ngc-tensorflow-25-02 ngc-mxnet-24-06 - ngc-pytorch-25-02",
    "B200, 580": "pytorch-gpu ngc-tensorflow-25-02 - - ngc-pytorch-25-02",
    "RTX 5090, 570": "pytorch-gpu-cuda12 ngc-tensorflow-25-02 - - ngc-pytorch-25-02",
}
FRAMEWORKS = ("pytorch", "tensorflow", "mxnet", "caffe2", "tensorrt")


def chosen(framework: str, machine: str, *, on_host: bool = False) -> Choice:
    gpus, driver = MACHINES[machine]
    backend = framework if catalogue.framework(framework).ours else None
    return choose(NAMED[framework], gpus, driver, table=TABLE, backend=backend, on_host=on_host)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_newest_image_that_works_is_chosen(machine: str) -> None:
    found = [chosen(name, machine).image for name in FRAMEWORKS]
    assert [image.id if image else "-" for image in found] == EXPECTED[machine].split()


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("framework", NAMED)
def test_what_is_chosen_works_and_what_is_passed_over_does_not(
    framework: str, machine: str
) -> None:
    gpus, driver = MACHINES[machine]
    found = chosen(framework, machine)
    for one in found.passed_over:
        refusal = listed.assess_image(one.image, gpus, driver).refusal
        assert refusal == (None if one.unproven else one.why)
    if found.image is None:
        assert found.refusal in [one.why for one in found.passed_over]
        assert found.notes() == ()
    else:
        assert found.refusal == ""
        assert listed.assess_image(found.image, gpus, driver).refusal == ""
        assert bool(found.notes()) is bool(found.passed_over)


def test_the_note_says_why_the_newest_was_not_taken() -> None:
    assert chosen("pytorch", "8 x A100, 525").notes() == (
        "the image is pytorch-gpu-cuda12, the newest that works here: benchdock/pytorch-gpu:2.13.0 "
        "(CUDA 13.0) needs NVIDIA driver 580 or newer, and this machine has 525.105.17",
        "pytorch-gpu-cuda12 contains PyTorch 2.10.0; our backend was proven with 2.10.0 on a CPU",
    )


@pytest.mark.parametrize(
    ("framework", "gpu", "driver", "why"),
    [
        # Only the driver is missing: the image that asks for the oldest one tells.
        ("pytorch", ("Tesla V100", "7.0"), "418.67", "needs NVIDIA driver 450.80.02 or newer"),
        ("tensorflow", ("Tesla V100", "7.0"), "418.67", "23.01-tf2-py3 (CUDA 12.0.1) needs NVIDIA"),
        ("mxnet", ("NVIDIA B200", "10.0"), "580.65", "mxnet:24.06-py3 was built with CUDA 12.4"),
        ("caffe2", ("Tesla K80", "3.7"), "470.82", "of compute capability 5.0 or newer"),
        ("pytorch", ("Tesla M2090", "2.0"), "390.1", "compute capability 3.7 or newer"),
        ("pytorch", ("later", "20.0"), "900.1", "has no kernels for compute capability 20.0"),
    ],
)
def test_the_decisive_reason(framework: str, gpu: tuple[str, str], driver: str, why: str) -> None:
    found = choose(NAMED[framework], [gpu], driver, table=TABLE)
    assert found.image is None
    assert why in found.refusal


def test_on_the_host_only_what_pip_installs_is_chosen() -> None:
    image = chosen("pytorch", "8 x V100, 450", on_host=True).image
    assert image is not None
    assert image.id == "pytorch-gpu-cuda11"
    none = chosen("pytorch", "8 x V100, 450.51", on_host=True)
    assert none.image is None
    assert "needs NVIDIA driver 450.80.02" in none.refusal
    # The host runtime says itself that a vendor's image needs an engine.
    assert chosen("tensorflow", "8 x H200, 570", on_host=True).image is NAMED["tensorflow"]


GPUS = st.lists(
    st.tuples(
        st.sampled_from(["Tesla T4", "NVIDIA GeForce RTX 3090", "x"]),
        st.one_of(st.just(""), st.builds("{}.{}".format, st.integers(0, 15), st.integers(0, 9))),
    ),
    max_size=3,
)
DRIVERS = st.one_of(
    st.none(), st.builds("{}.{}.{}".format, st.integers(300, 700), st.integers(0, 200), st.just(1))
)


@pytest.mark.slow
@given(st.sampled_from(sorted(NAMED)), GPUS, DRIVERS, st.booleans())
def test_any_machine_gets_an_image_or_a_reason(
    framework: str, gpus: list[tuple[str, str]], driver: str | None, on_host: bool
) -> None:
    found = choose(NAMED[framework], gpus, driver, table=TABLE, on_host=on_host)
    assert (found.image is None) is bool(found.refusal)
    if not on_host and found.image is not None:
        assert listed.assess_image(found.image, gpus, driver).refusal == ""
