"""Each release of trtexec is given only flags that it has.

Read in `samples/common/sampleOptions.cpp` of TensorRT's open source, tags v8.6.1, v10.0.1, v10.16,
v11.0 and v11.1.
"""

import re

import pytest

from orchestrator.frameworks import catalogue
from orchestrator.run.launcher import render
from tests.support.inference_and_caffe_cases import of_row
from tests.support.launcher_cases import PLAIN

WRITTEN = {
    "onnx", "device", "noTF32", "fp16", "bf16", "int8", "warmUp", "workspace", "iterations",
    "duration", "useCudaGraph", "noDataTransfers", "noCudaGraph", "includeDataTransfers", "streams",
    "infStreams",
}  # fmt: skip
GONE_IN_10 = {"workspace", "buildOnly", "explicitBatch", "minTiming", "heuristic", "nvtxMode"}
GONE_IN_11 = {"fp16", "bf16", "int8", "fp8", "int4", "best", "calib", "layerPrecisions"}
OLD_IN_11 = {"useCudaGraph", "noDataTransfers", "useSpinWait"}  # it does all that unasked
NEW_IN_11 = {"noCudaGraph", "includeDataTransfers"}
LACKS = {
    "8": {"bf16", "infStreams"} | NEW_IN_11,
    "9": {"streams"} | NEW_IN_11,
    "10": {"streams"} | GONE_IN_10 | NEW_IN_11,
    "11": {"streams"} | GONE_IN_10 | GONE_IN_11 | OLD_IN_11,
}


def flags(release, dtype, **options):
    context = of_row(
        PLAIN, "tensorrt", "resnet50", release, options, dtype=dtype, phase="inference"
    )
    script = render("tensorrt", context)
    return set(re.findall(r"--(\w+)", script.partition("exec trtexec")[2]))


@pytest.mark.parametrize("release", LACKS)
def test_a_release_gets_only_flags_that_it_has(release):
    framework = catalogue.framework("tensorrt").variants[release]
    dtypes = [
        dtype
        for dtype in framework.dtypes["gpu", "inference"]
        if not any(unfit.forbids("resnet50", "inference", dtype) for unfit in framework.unfit)
    ]
    assert "float32" in dtypes
    for dtype in dtypes:
        given = flags(release, dtype)
        assert {"onnx", "iterations", "duration"} <= given
        assert not given & LACKS[release], (release, dtype)
        assert given <= WRITTEN


def test_every_release_that_reads_onnx_is_looked_at():
    rows = catalogue.framework("tensorrt").variants
    assert {name for name, row in rows.items() if row.launcher == "tensorrt"} == set(LACKS)


@pytest.mark.parametrize("release", LACKS)
@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_file_says_its_types_in_every_release(release, dtype):
    context = of_row(PLAIN, "tensorrt", "resnet50", release, dtype=dtype, phase="inference")
    script = render("tensorrt", context)
    assert f"backends.onnx write --batch={context.batch} --seed=0 --dtype={dtype} -- " in script
    allowed = {"float16": "--fp16", "int8": "--int8 --fp16"}[dtype]
    assert (f"{allowed} " in script) == (release != "11")


@pytest.mark.parametrize("release", ["9", "10", "11"])
def test_bfloat16_is_a_flag_before_11_and_the_type_of_the_file_since(release):
    context = of_row(PLAIN, "tensorrt", "resnet50", release, dtype="bfloat16", phase="inference")
    script = render("tensorrt", context)
    assert ("--dtype=bfloat16 -- " in script) == (release == "11")
    assert ("--bf16 " in script) == (release != "11")


def test_before_11_the_graph_and_the_transfers_are_requested():
    assert {"useCudaGraph", "noDataTransfers"} <= flags("10", "float16")


@pytest.mark.parametrize("release", LACKS)
def test_how_it_runs_is_told_in_the_words_of_the_release(release):
    """Without the flag, release 11 does the opposite of the older ones."""
    usual = flags(release, "float32")
    graph, transfers = ({"noCudaGraph"}, {"includeDataTransfers"})
    if release != "11":
        graph, transfers = ({"useCudaGraph"}, {"noDataTransfers"})
    assert usual ^ flags(release, "float32", cuda_graph="off") == graph
    assert usual ^ flags(release, "float32", transfers="on") == transfers
    several = {"streams"} if release == "8" else {"infStreams"}
    assert usual ^ flags(release, "float32", streams="4") == several
    assert not flags(release, "float32", cuda_graph="off", transfers="on") & LACKS[release]
