"""The user's claim in YAML: it is read strictly, and each mistake is one line."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.published import claim_file
from orchestrator.published.collection import Claim

CLAIM = """
schema: 1
model: ResNet-50 v1.5
framework: torch
phase: inference
precision: FP16
gpu: Tesla V100-SXM2-16GB
gpus: 8
batch: 64
value: 1234.5
unit: samples/s
conditions: [synthetic]
options: {cuda_graphs: on, workers: 4}
source: {title: a blog, date: 2024-05-01}
"""


def read(tmp_path, text):
    path = tmp_path / "claim.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return claim_file.read(path)


def test_a_claim_is_read_in_our_spelling(tmp_path):
    own = read(tmp_path, CLAIM)
    claim = own.claim("claim")
    assert (claim.model, claim.framework, claim.program) == (
        "resnet50_v1.5",
        "pytorch",
        "benchdock",
    )
    assert (claim.precision, claim.gpu, claim.gpus) == ("float16", "v100-sxm2-16gb", 8)
    assert (claim.id, claim.throughput, claim.unit) == ("claim", 1234.5, "images/s")
    assert claim.source.date == "2024-05-01"
    assert own.options == {"cuda_graphs": "on", "workers": "4"}


def test_milliseconds_per_batch_become_samples_per_second(tmp_path):
    text = "{model: vgg16, framework: pytorch, value: 10, unit: ms/batch, batch: 5, gpus: 2}"
    assert read(tmp_path, text).claim("x").throughput == 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CLAIM.replace("value:", "valeu:"), "unknown key 'valeu'; did you mean 'value'?"),
        (CLAIM.replace("title:", "titel:"), "did you mean 'title'?"),
        (CLAIM.replace("value: 1234.5\n", ""), "value: it is missing"),
        (CLAIM.replace("samples/s", "img/s"), "unknown unit 'img/s'; did you mean 'images/s'?"),
        (CLAIM.replace("1234.5", "-1"), "value: it should be greater than 0"),
        (CLAIM.replace("1234.5", ".inf"), "value"),
        (CLAIM.replace("FP16", "fp9"), "precision"),
        (CLAIM.replace("gpus: 8", "gpus: many"), "gpus"),
        (CLAIM.replace("Tesla V100-SXM2-16GB", "''"), "gpu is empty; write a name there"),
        (CLAIM.replace("ResNet-50 v1.5", "' '"), "model is empty"),
        (CLAIM.replace("[synthetic]", "['']"), "conditions is empty"),
        (CLAIM + "version: 2.10\n", "version is not text; put it in quotes"),
        (CLAIM + "batch: 3\n", "duplicate key 'batch'"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: [1\n", "line 2"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("[" * 5000, "not valid YAML"),
        ("- 1\n", "does not contain a claim"),
        ("", "does not contain a claim"),
        ("date: 2024-99-99\n", "month must be in 1..12"),
        (b"\xff\xfe\x00", "not valid YAML"),
        ("a: '\x1b[31m'\n", "not valid YAML"),
        ("#" * (claim_file.LARGEST + 1), "larger than 64 KiB"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, text, told):
    with pytest.raises(RequestError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"absent\.yaml"):
        claim_file.read(tmp_path / "absent.yaml")


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*claim_file.ClaimFile.model_fields, "schema", "other"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
        | st.lists(st.text(max_size=3), max_size=2),
    )
)  # fmt: skip
def test_whatever_is_written_is_a_claim_or_one_line(tmp_path_factory, content):
    try:
        own = read(tmp_path_factory.getbasetemp(), yaml.safe_dump(content))
    except RequestError as error:
        told = str(error)
    else:
        told = "fine"
        assert isinstance(own.claim("x"), Claim)
        assert own.claim("x").throughput > 0
    assert told.isprintable()
