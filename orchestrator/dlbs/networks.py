"""DLBS's frameworks and networks under their names here; docs/from-dlbs.md has the evidence."""

from __future__ import annotations

from orchestrator.errors import nearest, quoted
from orchestrator.frameworks import catalogue

# DLBS's name -> that of the program here; the same name for the others.
_PROGRAMS = {"tensorflow": "tf_cnn_benchmarks"}
_SAME = (
    *("bvlc_caffe", "nvidia_caffe", "intel_caffe", "caffe2", "mxnet", "pytorch", "tensorrt"),
    *("nvcnn", "nvtfcnn", "openvino"),
)
FRAMEWORKS = {**{name: name for name in _SAME}, **_PROGRAMS}

# Their bottlenecks have the stride in the 3x3 convolution.
_LATER_STRIDE = ("mxnet", "pytorch", "caffe2")
_V15 = {name: f"{name}_v1.5" for name in ("resnet50", "resnet101", "resnet152")}
# (framework, network) -> how the network here differs.
_OF_LATER_STRIDE = {
    **dict.fromkeys(
        ("resnet200", "resnet269"),
        "in DLBS it has the stride in the 3x3 convolution; the one here is 6 % less work",
    ),
    "inception_resnet_v2": "in DLBS it has 129 channels where it has 128 here",
    "googlenet": "in DLBS it has other pools; the one here is 8 % more work",
}


class NotHere(ValueError):  # noqa: N818 - it says what is missing
    """A benchmark that cannot be carried over; the message says why."""


def framework(name: str) -> str:
    """Return the program for DLBS's `exp.framework`. Raises NotHere."""
    if name not in FRAMEWORKS:
        if not name:
            raise NotHere("exp.framework is not set")
        near = nearest(name, FRAMEWORKS)
        hint = f", did you mean {near!r}?" if near else ""
        raise NotHere(f"exp.framework {quoted(name)} is not a framework of DLBS{hint}")
    return FRAMEWORKS[name]


def network(program: str, name: str) -> str:
    """Return the name here of a network of DLBS in a program. Raises NotHere."""
    if not name:
        raise NotHere("exp.model is not set")
    called = _V15.get(name, name) if program in _LATER_STRIDE else name
    if not catalogue.has(catalogue.framework(program), called):
        raise NotHere(f"the network {quoted(name)} is not available for {program}")
    return called


def difference(program: str, name: str) -> str:
    """Say how the network here differs from DLBS's; "" if it does not, as far as is known."""
    why = _OF_LATER_STRIDE.get(name) if program in _LATER_STRIDE else None
    return f"{name} in {program} is not DLBS's network: {why}" if why else ""
