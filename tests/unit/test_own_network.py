"""The user's network, as far as it is checked before anything starts."""

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import DataError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import benchmark, checks, onnx_shape, own_network, planner, prototxt
from orchestrator.run.devices import Target
from orchestrator.run.place import Place
from tests import misbehaving, own_files
from tests.support import stand_in

PLACE = Place(runtime="docker", reason="test", python="python3", image="i")
CPU = Target(device="cpu")


def request(path, framework="onnxruntime", **changes):
    return Request(
        model=path.stem,
        framework=framework,
        gpus="none",
        model_file=path,
        **{"phase": "inference", **changes},
    )


@pytest.fixture
def onnx(tmp_path):
    def write(content, name="mine.onnx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("./a/my net.onnx", "my_net"),
        ("x.prototxt", "x"),
        ("X.ONNX", "X"),
        ("/tmp/-rf.onnx", "rf"),
        ("/tmp/$(id).onnx", "id_"),
        ("/tmp/é.onnx", "network"),
        ("/tmp/" + "n" * 200 + ".onnx", "n" * 60),
    ],
)
def test_a_file_is_told_from_a_name(model, name):
    found, path = own_network.split(model)
    assert (found, path) == (name, Path(model).absolute())


def test_a_name_stays_a_name_and_other_files_are_refused():
    assert own_network.split("resnet50_v1.5") == ("resnet50_v1.5", None)
    for model in ("./net", "a/b.txt", "net.pb", "net.caffemodel"):
        with pytest.raises(RequestError, match=r"cannot be run; use an \.onnx or \.prototxt file"):
            own_network.split(model)


@pytest.mark.parametrize(
    ("shape", "batch"),
    [(("N", 3, 8, 8), None), ((4, 3, 8, 8), 4), ((0, 3, 8, 8), None), ((), None)],
)
def test_the_batch_of_an_onnx_file(onnx, shape, batch):
    assert own_network.fixed_batch(onnx(own_files.onnx(shape))) == batch


@pytest.mark.parametrize("name", [*own_files.ONNX_FILES])
def test_no_onnx_file_stops_the_look_at_its_batch(onnx, name):
    content, kind, _ = own_files.ONNX_FILES[name]
    batch = own_network.fixed_batch(onnx(content))
    assert batch == {"four.onnx": 4, "one.onnx": 1}.get(name)
    assert kind is None or batch in (None, 1)


@pytest.mark.slow
@given(st.binary(max_size=200), st.integers(min_value=0, max_value=400))
def test_no_bytes_stop_the_look_at_a_batch(tmp_path_factory, noise, place):
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    content = own_files.onnx()
    for data in (noise, content[:place], content[:place] + noise + content[place:]):
        path.write_bytes(data)
        batch = onnx_shape.fixed_batch(path)
        assert batch is None or batch > 0


@pytest.mark.parametrize(
    ("text", "batch"),
    [
        ("input: 'data' input_dim: 7 input_dim: 3", 7),
        ("# input_dim: 9\ninput_shape { dim: 6 dim: 3 }", 6),
        ("layer { type: 'Input' input_param { shape: { dim: 5 dim: 3 } } }", 5),
        ("dummy_data_param { data_filler { value: 1 } shape { dim: 4 } shape { dim: 9 } }", 4),
        ("dummy_data_param: { shape: { dim: 4 } }", 4),
        ("data_param { source: 'x' batch_size: 32 } input_dim: 7", 32),
        ("layer { reshape_param { shape { dim: 0 } } }", None),
        ("input_dim: 0", None),
        ("", None),
    ],
)
def test_the_batch_of_a_prototxt(onnx, text, batch):
    assert own_network.fixed_batch(onnx(text.encode(), "x.prototxt")) == batch


def test_a_plan_has_the_files_batch_digest_and_mount(onnx, tmp_path):
    path = onnx(own_files.onnx((4, 3, 8, 8)))
    beside = onnx(b"weights", "mine.onnx.data")
    onnx(b"other", "other.data")
    asked = request(path)
    row = checks.framework_for(asked, "cpu")
    plan = planner.make_plan(asked, row, CPU, PLACE, RunFolder(tmp_path))
    assert plan.batch == 4
    assert plan.model == "mine"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert plan.fingerprint == f"file:{digest[:16]}"
    mounts = {mount.target: mount for mount in plan.mounts}
    assert mounts["/benchdock/model/mine.onnx"].source == path
    assert mounts["/benchdock/model/mine.onnx"].read_only
    assert mounts["/benchdock/model/mine.onnx.data"].source == beside
    assert "/benchdock/model/other.data" not in mounts
    assert "--model-file=/benchdock/model/mine.onnx" in plan.script
    assert "--batch=4" in plan.script


def test_on_the_host_the_file_is_read_where_it_is(onnx, tmp_path):
    path = onnx(own_files.onnx())
    asked = request(path, batch=3)
    place = Place(runtime="host", reason="test", python="python3")
    plan = planner.make_plan(
        asked, catalogue.framework("openvino"), CPU, place, RunFolder(tmp_path)
    )
    assert f"--model-file={path}" in plan.script
    assert plan.batch == 3


def test_a_file_with_the_name_of_a_network_that_cannot_be_drawn_is_none(tmp_path):
    path = tmp_path / "deep_speech2.prototxt"
    path.write_text("layer { }")
    assert checks.framework_for(request(path, "caffe"), "cpu").name == "bvlc_caffe"


@pytest.mark.parametrize("program", ["caffe_time", "caffe_train"])
def test_caffes_own_programs_run_a_file_where_it_lies(tmp_path, program):
    path = tmp_path / "my net.prototxt"
    path.write_text("input: 'data' input_dim: 7 input_dim: 3")
    asked = request(path, program, phase="training")
    row = checks.framework_for(asked, "cpu")
    place = Place(runtime="host", reason="test", python="python3")
    plan = planner.make_plan(asked, row, CPU, place, RunFolder(tmp_path))
    assert plan.batch == 7
    assert plan.fingerprint == own_network.fingerprint(path)
    assert f"cd -- {tmp_path}/out\n" in plan.script
    assert f"-- '{path}' >" in plan.script


def test_a_file_and_another_in_a_folder_are_one_too_many(tmp_path):
    path = tmp_path / "mine.prototxt"
    path.write_text("input_dim: 7")
    refused = refusal(path, "caffe_time", options={"prototxt": "x.prototxt"})
    assert "remove --option prototxt" in str(refused)


def refusal(path, framework="onnxruntime", **changes):
    with pytest.raises(RequestError) as caught:
        checks.framework_for(request(path, framework, **changes), "cpu")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("framework", "words"),
    [
        ("pytorch", "pytorch cannot run .onnx files; use -f onnxruntime, openvino, "),
        ("bvlc_caffe", "bvlc_caffe cannot run .onnx files"),
        ("caffe2", "caffe2 cannot run .onnx files"),
    ],
)
def test_a_framework_that_takes_no_such_file(onnx, framework, words):
    assert str(refusal(onnx(own_files.onnx()), framework)).startswith(words)


def test_files_that_cannot_be_read_are_refused_before_anything_starts(onnx, tmp_path):
    missing = refusal(tmp_path / "no.onnx")
    assert isinstance(missing, DataError)
    assert "does not exist" in str(missing)
    (tmp_path / "folder.onnx").mkdir()
    assert "is a folder" in str(refusal(tmp_path / "folder.onnx"))
    assert "is empty" in str(refusal(onnx(b"")))
    pointer = onnx(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    assert "git lfs pull" in str(refusal(pointer))
    assert "use --batch 4" in str(refusal(onnx(own_files.onnx((4, 3, 8, 8))), batch=8))
    assert "can only run on synthetic data" in str(refusal(onnx(own_files.onnx()), data=tmp_path))


@contextmanager
def without_root():
    """Root reads every file."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_of_somebody_else():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are for its user only
        Path(folder).chmod(0o755)
        path = Path(folder, "mine.onnx")
        path.write_bytes(own_files.onnx())
        path.chmod(0)
        with without_root():
            told = str(refusal(path))
    assert "cannot be read: Permission denied; run `chmod a+r" in told


def test_a_digest_of_a_file_that_went_away_is_an_error_of_data(tmp_path):
    for look in (own_network.fingerprint, own_network.fixed_batch):
        with pytest.raises(DataError, match="cannot be read: No such file"):
            look(tmp_path / "gone.onnx")


def test_a_file_that_is_changed_while_the_run_starts_fails_the_run(onnx, tmp_path, monkeypatch):
    options = catalogue.framework("onnxruntime").options
    monkeypatch.setitem(options, "behaviour", misbehaving.BEHAVIOUR)
    path = onnx(own_files.onnx())
    # The stand-in says the fingerprint of something else than this file.
    with stand_in.home(tmp_path / "home"):
        asked = stand_in.request(
            "othernetwork",
            model="mine",
            model_file=path,
            framework="onnxruntime",
            phase="inference",
        )
        result, status = benchmark.run(asked, stand_in.View())
    assert status == 1
    assert result.failure.kind == "contradiction"
    assert result.failure.message.startswith("the log says network feed, not file:")
    assert "the file changed after the start" in result.failure.message


def test_the_command_line_takes_a_path(onnx, capsys):
    path = onnx(own_files.onnx((2, 3, 8, 8)), "my net.onnx")
    words = ["-f", "onnxruntime", "--phase", "inference", "--gpus", "none"]
    assert main(["run", str(path), *words, "--batch", "3"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "benchdock: my net.onnx has a fixed batch of 2, not 3; "
        "use --batch 2, or export it with a dynamic batch size\n"
    )


DEPLOY = """name: "AlexNet"  # a comment with layer { type: "SoftmaxWithLoss" }
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 10 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" %s }\n'
DATABASE = """layer {
  name: "images" type: "Data" include { phase: TRAIN }
  data_param { source: "ilsvrc12_lmdb" batch_size: 256 }
}
"""


def prototxt_file(tmp_path, text, name="deploy.prototxt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def planned(path, framework, **changes):
    asked = request(path, framework, **{"phase": "training", **changes})
    return checks.framework_for(asked, "cpu")


@pytest.mark.parametrize(
    ("more", "trains"),
    [
        ("", False),
        (LOSS % "", True),
        (LOSS % "include { phase: TRAIN }", True),
        (LOSS % "include: { phase: TRAIN stage: 'a' }", True),
        (LOSS % "include { phase: TEST }", False),
        (LOSS % "exclude { phase: TRAIN }", False),
        (LOSS % "exclude { phase: TEST }", True),
        (LOSS % "loss_weight: 0", False),
        (LOSS % "loss_weight: 0.3", True),
        ("layers { name: 'l' type: SOFTMAX_LOSS }", True),
        ("layers { name: 'l' type: EUCLIDEAN_LOSS }", True),
        ("layer { name: 'l' type: 'CTCLoss' }", True),
        ("layer { name: 'l' type: 'WarpCTC' }", True),
        ("layer { name: 'l' type: 'Python' loss_weight: 1 }", True),
        ("layer { name: 'loss' type: 'Softmax' }", False),
        ("layer { name: 'a' type: 'Accuracy' }", False),
        ("# layer { type: 'EuclideanLoss' }", False),
        ("layer {", None),  # left to Caffe
    ],
)
@pytest.mark.parametrize("framework", ["caffe_time", "caffe_train", "bvlc_caffe"])
def test_a_network_without_loss_is_not_trained(tmp_path, framework, more, trains):
    path = prototxt_file(tmp_path, DEPLOY + more)
    if trains is False:
        with pytest.raises(RequestError) as refused:
            planned(path, framework)
        other = "-f caffe_time " if framework == "caffe_train" else ""
        assert str(refused.value) == (
            "deploy.prototxt has no loss in the TRAIN phase, so it cannot be trained; "
            f"use {other}--phase inference, or add a loss layer"
        )
    else:
        assert planned(path, framework).name == framework
    if framework != "caffe_train":
        assert planned(path, framework, phase="inference").name == framework


def test_an_option_that_names_a_file_is_looked_at_too(tmp_path):
    prototxt_file(tmp_path, DEPLOY)
    asked = Request(
        model="mine",
        framework="caffe_time",
        gpus="none",
        source=tmp_path,
        options={"prototxt": "deploy.prototxt"},
    )
    with pytest.raises(RequestError, match=r"no loss in the TRAIN phase.*; use --phase inference"):
        checks.framework_for(asked, "cpu")


@pytest.mark.parametrize(
    ("framework", "text", "phase"),
    [
        ("caffe_time", DEPLOY, "inference"),
        ("bvlc_caffe", DEPLOY, "inference"),
        ("caffe_train", DEPLOY, "training"),  # and refused
        ("caffe_time", DEPLOY + LOSS % "", "training"),
        ("caffe_time", "no network", "training"),
    ],
)
def test_the_phase_without_a_word_of_the_users(tmp_path, framework, text, phase):
    path = prototxt_file(tmp_path, text)
    row = catalogue.framework(framework)
    assert own_network.default_phase(row, catalogue.default_phase(framework), path) == phase


@pytest.mark.parametrize("by_option", [False, True])
def test_the_command_line_runs_a_network_without_loss_forward(tmp_path, capsys, by_option):
    tmp_path.chmod(0o755)  # a container of root cannot read what only root may read
    path = prototxt_file(tmp_path, DEPLOY)
    words = ["run", str(path), "-f", "caffe_time", "--gpus", "none", "--dry-run", "--json"]
    if by_option:
        words[1] = "mine"
        words += ["--source", str(tmp_path), "--option", "prototxt=deploy.prototxt"]
    assert main(words) == 0
    assert '"phase": "inference"' in capsys.readouterr().out


def test_a_prototxt_is_called_by_its_own_name(tmp_path):
    assert own_network.split(str(prototxt_file(tmp_path, DEPLOY)))[0] == "AlexNet"
    odd = prototxt_file(tmp_path, DEPLOY.replace("AlexNet", "VGG ILSVRC 16 layers"))
    assert own_network.split(str(odd))[0] == "VGG_ILSVRC_16_layers"
    plain = prototxt_file(tmp_path, DEPLOY.replace('name: "AlexNet"', ""), "plain.prototxt")
    assert own_network.split(str(plain))[0] == "plain"


def test_a_network_whose_database_is_not_there_gets_advice(tmp_path):
    path = prototxt_file(tmp_path, DATABASE + DEPLOY + LOSS % "", "train_val.prototxt")
    with pytest.raises(RequestError) as refused:
        planned(path, "caffe_time")
    text = str(refused.value)
    assert text.startswith("train_val.prototxt reads a dataset in its layer images, but there is")
    assert "no ilsvrc12_lmdb in" in text
    assert "; replace it by an Input layer with the shape, or use --source FOLDER" in text
    assert planned(path, "caffe_time", phase="inference").name == "caffe_time"
    (tmp_path / "ilsvrc12_lmdb").mkdir()
    assert planned(path, "caffe_time").name == "caffe_time"


@given(st.text(st.sampled_from("layer{}:\"' \n#nametypeLoss0[],")))
def test_no_text_stops_the_look_into_a_prototxt(tmp_path_factory, text):
    path = prototxt_file(tmp_path_factory.getbasetemp(), text, "any.prototxt")
    prototxt.read(path, "training")
