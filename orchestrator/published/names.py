"""One spelling for each GPU, number type, framework and model, however a source writes it."""

from __future__ import annotations

import re

from orchestrator.frameworks.record import SHORT_NAMES

_MAKERS = frozenset(
    {
        "nvidia",
        "tesla",
        "geforce",
        "gpu",
        "corporation",
        "graphics",
        "hbm2",
        "hbm2e",
        "hbm3",
        "hbm3e",
    }
)
_FORMS = frozenset({"sxm", "sxm2", "sxm3", "sxm4", "sxm5", "pcie", "nvl"})
# Chips sold with several memory sizes: only for these the size is part of the name.
_SIZED = frozenset({"v100", "p100", "a100", "h100"})
_MEMORY = re.compile(r"(\d+)(?:g|gb)", re.ASCII)
_CLOUD_CPU = re.compile(r"(?:ec2 )?([a-z]\d\w*\.\d*x?large|[a-z]\d\w*\.metal)(?: cpu)?", re.ASCII)
_GTX = re.compile(r"(?:9|10|16)\d\d", re.ASCII)
_RTX = re.compile(r"[2-9]0\d\d", re.ASCII)

_PRECISIONS = {
    "fp32": "float32",
    "single": "float32",
    "fp16": "float16",
    "half": "float16",
    "amp": "float16",
    "mixed": "float16",
    "bf16": "bfloat16",
}
_FRAMEWORKS = {
    **SHORT_NAMES,
    "caffe": "bvlc_caffe",
    "caffe-native": "bvlc_caffe",
    "nvcaffe": "nvidia_caffe",
    "paddle": "paddlepaddle",
    "tf-trt": "tensorflow-tensorrt",
    "nervana-neon": "neon",
}
_MODELS = {
    "inception-v3": "inception3",
    "inception_v3": "inception3",
    "inception-v4": "inception4",
    "inception_v4": "inception4",
    "inceptionv3": "inception3",
    "inceptionv4": "inception4",
    "inception_bn": "inception-bn",
    "inception-resnet-v2": "inception_resnet_v2",
    "googlenet-v1": "googlenet",
}
_RESNET = re.compile(r"resnet[ _-]?(\d+)(?:[ _-]?(?:v(?P<version>\d(?:\.\d)?)))?", re.ASCII)


def gpu(text: str) -> str:
    """Return a GPU's short name: chip, form, and memory if the chip is sold with several sizes.

    "NVIDIA A100-SXM4-40GB" is "a100-sxm4-40gb", "V100 16G" is "v100-16gb", "1080 Ti" is
    "gtx-1080-ti". Text in brackets (a cloud's instance) is not part of the name.
    """
    lowered = text.lower().strip()
    if match := _CLOUD_CPU.fullmatch(lowered):
        return match[1]
    maxwell = ["maxwell"] if "(maxwell)" in lowered else []
    words = re.findall(r"[a-z0-9]+", re.sub(r"\([^)]*\)", " ", lowered)) + maxwell
    chip = [word for word in words if word not in _MAKERS | _FORMS and not _MEMORY.fullmatch(word)]
    form = [word for word in words if word in _FORMS]
    memory = [f"{match[1]}gb" for word in words if (match := _MEMORY.fullmatch(word))]
    if chip and _GTX.fullmatch(chip[0]):
        chip.insert(0, "gtx")
    elif chip and _RTX.fullmatch(chip[0]):
        chip.insert(0, "rtx")
    sized = memory[:1] if _SIZED & set(chip) else []
    return "-".join((*chip, *form[:1], *sized))


def gpu_matches(asked: str, name: str) -> bool:
    """Whether a GPU matches a filter: "a100-40gb" matches every A100 of that size."""
    return set(gpu(asked).split("-")) <= set(name.split("-"))


def precision(text: str) -> str:
    """Return a number type's name: "FP16" is float16, and so is AMP, which multiplies so."""
    word = text.lower().strip()
    return _PRECISIONS.get(word, word)


def framework(text: str) -> str:
    """Return a framework's name: "TensorFlow" is tensorflow, "caffe" is bvlc_caffe."""
    word = re.sub(r"\s+", "-", text.lower().strip())
    return _FRAMEWORKS.get(word, word)


def model(text: str) -> str:
    """Return a model's name: "ResNet-50 v1.5" is resnet50_v1.5; v1 is implied."""
    word = text.lower().strip()
    if match := _RESNET.fullmatch(word):
        version = match["version"] or "1"
        return f"resnet{match[1]}" + ("" if version == "1" else f"_v{version}")
    return _MODELS.get(word, word.replace(" ", "_"))


def model_matches(asked: str, name: str) -> bool:
    """Whether a model matches a filter or is a variant of it: "resnet50" matches v1.5 too."""
    return name == asked or name.startswith(f"{asked}_v")
