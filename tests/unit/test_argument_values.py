"""Values of options: what is read, and the one line for what is not."""

import argparse
import os

import pytest

from orchestrator.arguments import values
from orchestrator.cli import main
from orchestrator.errors import ExitStatus


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.positive, "7", 7),
        (values.not_negative, "0", 0),
        (values.whole(1, 8), "8", 8),
        (values.size, "512m", 512 * 2**20),
        (values.size, "2097152", 2**21),
        (values.duration, "10m", 600.0),
        (values.path, "~/data", os.path.expanduser("~") + "/data"),
        (values.gpu_choice, "all", "all"),
        (values.gpu_choice, "2,0", (2, 0)),
        (values.option, "flag=a=b", ("flag", "a=b")),
        (values.option, "empty=", ("empty", "")),
    ],
)
def test_a_value_is_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (values.positive, "1.5", "'1.5' is not a whole number"),
        (values.positive, "0", "0 is too small, the minimum is 1"),
        (values.whole(1, 4096), "4097", "4097 is too large, the maximum is 4,096"),
        (values.given, "", "it is empty"),
        (values.path, "", "it is empty"),
        (values.recorded, "a\udcff", r"'a\udcff' is not valid UTF-8"),
        (values.scripted, "a\x1b[0m", r"'a\x1b[0m' contains a control character"),
        (values.recorded_path, "/a\nb", r"'/a\nb' contains a control character"),
        (values.size, "4", "'4' would be bytes; add a unit, such as 4g"),
        (values.gpu_choice, "0,x", "'0,x' is not all, none, or GPU indices or UUIDs such as 0,1"),
        (values.gpu_choice, "1,1", "'1,1' names a GPU twice"),
        (values.option, "=x", "'=x' is not of the form KEY=VALUE"),
    ],
)
def test_what_is_not_a_value_is_said_in_one_line(read, text, message):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)
    assert str(refused.value) == message


@pytest.mark.parametrize("read", [values.size, values.duration])
def test_a_quantity_without_a_number_is_quoted(read):
    with pytest.raises(argparse.ArgumentTypeError, match="'lots'") as refused:
        read("lots")
    assert "\n" not in str(refused.value)


RUN = ("run", "deep_mnist", "-f", "pytorch")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--option", "layout=auto", "--option", "layout=nchw"), "'layout' is given twice"),
        ((*RUN, "--batch=--"), "--batch: '--' is not a value"),
        (("run", "-f", "pytorch", "-f", "mxnet", "vgg16"), "'pytorch' was given already"),
        ((*RUN, "--stepps", "5"), "did you mean '--steps'"),
        ((*RUN, "vgg16"), "unexpected argument 'vgg16'"),
        (("completion", "fihs"), "use one of bash, zsh, tcsh"),
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, words, message):
    assert main(list(words)) == ExitStatus.BAD_REQUEST
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_script_has_the_names(capsys, shell):
    assert main(["completion", shell]) == ExitStatus.OK
    script = capsys.readouterr().out
    for name in ("resnet50_v1.5", "onnxruntime", "pytorch-cpu", "tf_cnn_benchmarks"):
        assert name in script or (shell, name) == ("tcsh", "tf_cnn_benchmarks")
