"""The user's prototxt gets another batch and stays unchanged otherwise."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import zoo
from backends.caffe import prototxt, rebatch
from backends.caffe.dialects import BVLC
from backends.caffe.inputs import Source
from backends.harness.errors import Unsupported


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("input_dim: 10 input_dim: 3\ninput_dim:227 input_dim: 227",
         "input_dim: 7 input_dim: 3\ninput_dim:227 input_dim: 227"),
        ("input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 input_dim: 1",
         "input_dim: 7 input_dim: 3 input_dim: 4 input_dim: 4 input_dim: 7"),
        ("input_shape { dim: 10 dim: 3 } input_shape {dim: 10}",
         "input_shape { dim: 7 dim: 3 } input_shape {dim: 7}"),
        ("layer { input_param { shape: { dim: 10 dim: 3 } shape: { dim: 10 } } }",
         "layer { input_param { shape: { dim: 7 dim: 3 } shape: { dim: 7 } } }"),
        ("layer{data_param{batch_size:256 source: 'a'}}",
         "layer{data_param{batch_size:28 source: 'a'}}"),
        # What looks like a batch and is none.
        ("dummy_data_param { shape { dim: 2 } } # dim: 5\nname: \"batch_size: 4 { \\\" dim: 9\"",
         "dummy_data_param { shape { dim: 7 } } # dim: 5\nname: \"batch_size: 4 { \\\" dim: 9\""),
        ("batch_size: 1 reshape_param { shape { dim: 2 dim: 4 } } crop: 3",
         "batch_size: 28 reshape_param { shape { dim: 2 dim: 4 } } crop: 3"),
    ],
)  # fmt: skip
def test_what_leads_an_inputs_shape_is_the_batch(text, changed):
    assert rebatch.with_batch(text, 7, 28) == changed


@pytest.mark.parametrize(
    "text", ["", "name: 'x'", "shape { dim: 3 }", "} dim: 3", "input_dim: [1]"]
)
def test_a_network_without_a_batch_is_refused(text):
    with pytest.raises(Unsupported, match="has no input and no batch_size"):
        rebatch.with_batch(text, 7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["input", "dummy", "lmdb"])
def test_our_own_networks_with_another_batch_are_those_written_for_it(kind, training):
    def written(batch):
        graph = zoo.draw("resnet18")
        source = Source(kind, "/data")
        return prototxt.network(graph, BVLC, batch, training, source=source).text

    assert rebatch.with_batch(written(3), 16) == written(16)


@pytest.mark.slow
@given(st.text(st.sampled_from("{}:'\"# \ndim_shape123"), max_size=60))
def test_any_text_is_refused_or_keeps_all_but_numbers(text):
    try:
        changed = rebatch.with_batch(text, 5)
    except Unsupported:
        return
    assert [c for c in changed if not c.isdigit()] == [c for c in text if not c.isdigit()]


def run(*words):
    command = [sys.executable, "-m", "backends.caffe", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_nvidias_fork_divides_the_batch_of_a_database(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text("data_param { batch_size: 1 }")
    for fork, batch in (("nvidia_caffe", 32), ("bvlc_caffe", 8), ("intel_caffe", 8)):
        done = run("rebatch", "--fork", fork, "--batch", 8, "--devices", 4, "--", file)
        assert done.stdout == f"data_param {{ batch_size: {batch} }}"


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    done = run("rebatch", "--", tmp_path / "absent")
    assert done.returncode == 1
    assert done.stderr.startswith("backends.caffe: ")
    assert done.stderr.count("\n") == 1
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert run("rebatch", "--", tmp_path / "binary").returncode == 1
