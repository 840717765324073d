"""Whole commands with a backend that computes nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from backends import zoo
from backends.harness import own_network, program
from backends.harness.errors import DataProblem, OutOfMemory, Unsupported
from backends.harness.job import Job
from backends.options import Option
from orchestrator.run import own_network as host_networks

COMMAND = (
    "--model alexnet --phase training --dtype float32 --batch 4 --device cpu --steps 20 "
    "--warmup 2 --warmup-seconds 0"
)
ARGUMENTS = COMMAND.split()


class IdleJob(Job):
    samples = 4

    def __init__(self, fails=None, leader=True):
        super().__init__()
        self.options["layout"] = "plain"
        self.fails, self.leader, self.closed = fails, leader, False

    def step(self):
        if self.fails:
            raise self.fails

    def loss(self):
        return float("nan")

    def close(self):
        self.closed = True


def backend(job=None, prepare=None, **changed):
    found = SimpleNamespace(
        FRAMEWORK="fake",
        OPTIONS=(Option("layout", ("plain",), "none"),),
        version=lambda: "1.0",
        classify=lambda error: "out_of_memory" if "no room" in str(error) else None,
        prepare=prepare or (lambda settings, graph, values: job),
        self_check=lambda: "all is well",
    )
    return SimpleNamespace(**dict(vars(found), **changed))


class Log(list):
    def __call__(self, event, **fields):
        self.append((event, fields))


@pytest.fixture
def log():
    return Log()


def names(log):
    return [name for name, _ in log]


@pytest.mark.slow
def test_a_run_that_works(log):
    job = IdleJob()
    assert program.main(backend(job), ARGUMENTS, log) == 0
    assert names(log) == ["begin", "warmup", "warmup", "steps", "end"]
    begin, end = log[0][1], log[-1][1]
    graph = zoo.draw("alexnet")
    assert begin["fingerprint"] == graph.fingerprint
    assert begin["parameters"] == graph.published
    assert begin["options"] == {"layout": "plain"}
    assert {
        "program",
        "version",
        "framework",
        "framework_version",
        "model",
        "phase",
        "dtype",
    } < set(begin)
    assert {"batch", "device", "devices", "device_names", "learnable", "threads", "timing"} < set(
        begin
    )
    assert end["samples"] == 80
    assert end["seconds"] > 0
    assert end["peak_memory"] > 2**20
    assert job.closed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OutOfMemory("batch 4 is too large"), "out_of_memory", "batch 4 is too large"),
        (Unsupported("no int8"), "unsupported", "no int8"),
        (DataProblem("empty"), "data", "empty"),
        (RuntimeError("no room\nfor it"), "out_of_memory", "RuntimeError: no room for it"),
        (MemoryError(), "out_of_memory", "MemoryError: no message"),
        (KeyError("bug"), "internal", "KeyError: 'bug'"),
    ],
)
def test_a_failing_step_is_an_error_event_and_no_end(log, capfd, error, kind, message):
    job = IdleJob(fails=error)
    assert program.main(backend(job), ARGUMENTS, log) == 1
    assert log[-1] == ("error", {"kind": kind, "message": message})
    assert "end" not in names(log)
    assert job.closed
    assert ("Traceback" in capfd.readouterr().err) == (kind == "internal")


@pytest.mark.slow
def test_failing_before_the_start(log):
    def prepare(settings, graph, values):
        raise Unsupported("needs a GPU")

    assert program.main(backend(prepare=prepare), ARGUMENTS, log) == 1
    assert log == [("error", {"kind": "unsupported", "message": "needs a GPU"})]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required"),
        (["--model", "alexnet"], "required"),
        ([*ARGUMENTS, "--model", "alexnett"], "did you mean alexnet"),
        ([*ARGUMENTS, "--option", "x=y"], "unknown option 'x'"),
        (["self-check", "please"], "no arguments"),
        (["parity", "--level", "P1"], "MODEL"),
        (["parity", "--level=P4", "--devices=2", "alexnet", "vgg11"], "compare one model"),
    ],
)
def test_wrong_arguments_are_error_events(log, argv, message):
    assert program.main(backend(IdleJob()), argv, log) == 1
    assert names(log) == ["error"]
    assert log[0][1]["kind"] == "unsupported"
    assert message in log[0][1]["message"]


def read_file(path, settings):
    network = own_network.OwnNetwork(path)
    if b"broken" in Path(path).read_bytes():
        raise network.broken("is broken: fix it")
    return network


def prepare_file(settings, network):
    network.published = 7
    return IdleJob()


def file_backend():
    return backend(FILES=(".net",), read_file=read_file, prepare_file=prepare_file)


def of_file(path, *more):
    return [*ARGUMENTS, "--model", "mine", "--model-file", str(path), *more]


def test_a_users_own_network_is_run_and_known_by_its_content(log, tmp_path):
    path = tmp_path / "mine.net"
    path.write_bytes(b"layers")
    assert program.main(file_backend(), of_file(path), log) == 0
    begin = log[0][1]
    assert begin["model"] == "mine.net"
    assert begin["fingerprint"] == host_networks.fingerprint(path)
    assert (begin["parameters"], begin["learnable"]) == (7, None)


@pytest.mark.parametrize(
    ("name", "content", "more", "kind", "message"),
    [
        ("a.net", b"broken", (), "data", "a.net is broken: fix it"),
        ("a.net", None, (), "data", "a.net cannot be read: No such file or directory"),
        ("a.txt", b"x", (), "unsupported", "fake takes .net files, not a.txt"),
        ("a.net", b"x", ("--data", "."), "unsupported", "a.net can only run on synthetic data"),
    ],
)
def test_a_users_own_network_that_cannot_be_run(log, tmp_path, name, content, more, kind, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert program.main(file_backend(), of_file(path, *more), log) == 1
    ((event, told),) = log
    assert (event, told["kind"]) == ("error", kind)
    assert told["message"].startswith(message)


def test_a_backend_that_takes_no_file_says_so(log, tmp_path):
    assert program.main(backend(), of_file(tmp_path / "a.onnx"), log) == 1
    assert "takes no files: it runs the zoo's networks" in log[0][1]["message"]


class ComplaintError(Exception):
    pass


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (None, DataProblem, "a.net cannot be run by Stub: no good; export it again"),
        ("unsupported", Unsupported, "a.net cannot be run by Stub: no good; export it without"),
        ("out_of_memory", ComplaintError, "no\n good"),
    ],
)
def test_what_a_framework_says_of_a_file_becomes_a_complaint_about_it(
    tmp_path, kind, error, message
):
    (tmp_path / "a.net").write_bytes(b"x")
    network = own_network.OwnNetwork(str(tmp_path / "a.net"))
    complaints = own_network.refusals(network, "Stub", (ComplaintError,), lambda _: kind)
    with pytest.raises(error, match=message), complaints:
        raise ComplaintError("no\n good")
    with pytest.raises(KeyError), own_network.refusals(network, "Stub", (ComplaintError,), None):
        raise KeyError("a bug stays one")


def test_of_a_long_complaint_the_middle_is_left_out():
    words = own_network.shortened("a" * 1000 + "cause")
    assert len(words) < 400
    assert words.endswith("cause")


@pytest.mark.slow
def test_only_the_leader_reports(log):
    assert program.main(backend(IdleJob(leader=False)), ARGUMENTS, log) == 0
    assert log == []


def test_self_check(log, capsys):
    assert program.main(backend(), ["self-check"], log) == 0
    assert capsys.readouterr().out == "fake 1.0: all is well\n"

    def broken():
        raise ValueError("misshapen")

    assert program.main(backend(self_check=broken), ["self-check"], log) == 1
    assert log[0][1] == {"kind": "internal", "message": "ValueError: misshapen"}


def test_parity_holds_only_if_all_do(log):
    def shapes(graph):
        for node in graph.nodes:
            yield node.name, (1,) if graph.name == "vgg11" and node.op == "relu" else node.shape

    tested = backend(shapes=shapes)
    assert program.main(tested, ["parity", "--level", "P1", "alexnet"], log) == 0
    assert program.main(tested, ["parity", "--level", "P1", "vgg11", "alexnet"], log) == 1
    assert [(f["model"], f["holds"]) for _, f in log] == [
        *(("alexnet", True), ("vgg11", False), ("alexnet", True)),
    ]
    assert log[1][1]["detail"].startswith("stage1_relu1 is (1,), drawn (64, ")
    assert (log[0][1]["dtype"], log[0][1]["device"]) == ("float32", "cpu")
