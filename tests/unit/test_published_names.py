"""One spelling for names that sources write in many ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.published import names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("V100 16G", "v100-16gb"),
        ("V100 16GB", "v100-16gb"),
        ("Tesla V100-SXM2-16GB", "v100-sxm2-16gb"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("A100-PCIE-40GB", "a100-pcie-40gb"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb"),
        ("NVIDIA H200", "h200"),
        ("H200 141GB SXM", "h200-sxm"),
        ("T4 16G", "t4"),
        ("Tesla T4", "t4"),
        ("A30 24GB", "a30"),
        ("1080 Ti", "gtx-1080-ti"),
        ("GeForce GTX 1080 Ti", "gtx-1080-ti"),
        ("2080 Ti (CUDA 10.0.130, CuDNN 7.4.2.24)", "rtx-2080-ti"),
        ("NVIDIA GeForce RTX 2080 SUPER", "rtx-2080-super"),
        ("RTX 6000 Ada", "rtx-6000-ada"),
        ("Titan X (Maxwell)", "titan-x-maxwell"),
        ("K80 (single GPU; page says EC2 p2.2xlarge)", "k80"),
        ("EC2 C5.18xlarge CPU", "c5.18xlarge"),
        ("Jetson AGX Xavier", "jetson-agx-xavier"),
    ],
)
def test_gpu(text: str, name: str) -> None:
    assert names.gpu(text) == name
    assert names.gpu(name) == name


@given(st.text(alphabet="abv 10-hx(2)sxmpcie4gbGTi.", max_size=30))
def test_a_spelled_gpu_stays_as_it_is(text: str) -> None:
    once = names.gpu(text)
    assert names.gpu(once) == once


@pytest.mark.parametrize(
    ("asked", "name", "matches"),
    [
        ("a100", "a100-pcie-40gb", True),
        ("A100 40GB", "a100-pcie-40gb", True),
        ("a100-80gb", "a100-pcie-40gb", False),
        ("2080 ti", "rtx-2080-ti", True),
        ("titan v", "titan-x-maxwell", False),
        ("v100", "a100-40gb", False),
    ],
)
def test_a_gpu_asked_for(asked: str, name: str, matches: bool) -> None:
    assert names.gpu_matches(asked, name) is matches


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("resnet50 v1.5", "resnet50_v1.5"),
        ("ResNet-50 v1.5", "resnet50_v1.5"),
        ("resnet50_v1.5", "resnet50_v1.5"),
        ("ResNet50", "resnet50"),
        ("resnet50 v1", "resnet50"),
        ("resnet152_v2", "resnet152_v2"),
        ("inception-v3", "inception3"),
        ("mobilenet v2", "mobilenet_v2"),
        ("vgg16", "vgg16"),
    ],
)
def test_model(text: str, name: str) -> None:
    assert names.model(text) == name


def test_a_model_asks_for_its_variants_and_no_other() -> None:
    assert names.model_matches("resnet50", "resnet50_v1.5")
    assert not names.model_matches("resnet50_v1.5", "resnet50")
    assert not names.model_matches("vgg1", "vgg16")


@pytest.mark.parametrize(
    ("text", "name"), [("FP16", "float16"), ("AMP", "float16"), ("tf32", "tf32"), ("INT8", "int8")]
)
def test_precision(text: str, name: str) -> None:
    assert names.precision(text) == name


@pytest.mark.parametrize(
    ("text", "name"), [("TensorFlow", "tensorflow"), ("caffe", "bvlc_caffe"), ("torch", "pytorch")]
)
def test_framework(text: str, name: str) -> None:
    assert names.framework(text) == name
