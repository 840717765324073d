"""The command line as a user sees it: one line, the right status, never a traceback."""

import errno
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import zoo
from orchestrator.arguments.all import build_parser
from orchestrator.cli import main
from orchestrator.errors import ExitStatus


def benchdock(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(autouse=True)
def no_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))


RUN = ("run", "resnet18", "-f", "pytorch", "--gpus=none")
CUSTOM = ("run", "mine", "-f", "custom", "--runtime=host")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("runn",), 2, "did you mean 'run'"),
        (("run", "resnet18"), 2, "--framework"),
        (("run", "resnet188", "-f", "pytorch"), 2, "did you mean 'resnet18'"),
        (("run", "resnet18", "-f", "pytorhc"), 2, "did you mean 'pytorch'"),
        (
            (*RUN, "-f", "mxnet"),
            2,
            "-f/--framework: 'pytorch' was given already; only one is allowed",
        ),
        ((*RUN, "--phase", "traning"), 2, "did you mean 'training'"),
        ((*RUN, "--dtype", "fp16"), 2, "float16"),
        ((*RUN, "--dtype", "float16"), 2, "use one of float32, bfloat16"),
        ((*RUN, "--batch", "0"), 2, "the minimum is 1"),
        ((*RUN, "--batch=-1"), 2, "the minimum is 1"),
        ((*RUN, "--batch", "1000000000"), 2, "1000000"),
        ((*RUN, "--threads", "999999"), 2, "--threads 999999 is too large; the maximum is 4096"),
        ((*RUN, "--option", "layuot=contiguous"), 2, "did you mean 'layout'?"),
        ((*RUN, "--option", "layout=sideways"), 2, "use one of auto, contiguous, channels_last"),
        (("run", "resnet18", "-f", "caffe", "--option", "layout=auto"), 2, "option of bvlc_caffe"),
        ((*RUN, "--batch", "many"), 2, "'many' is not a whole number"),
        ((*RUN, "--steps", "5", "--warmup", "5"), 2, "the warm-up (5 steps) must be shorter"),
        (("run", "resnet18", "-f", "pytorch", "--gpus", "1,x"), 2, "UUIDs such as 0,1"),
        (("run", "resnet18", "-f", "pytorch", "--gpus", "0,0"), 2, "names a GPU twice"),
        ((*RUN, "--data", "/absent"), 2, "the dataset /absent does not exist"),
        ((*RUN, "--memory", "lots"), 2, "'lots'"),
        ((*RUN, "--memory", "8"), 2, "'8' would be bytes; add a unit, such as 4g"),
        ((*RUN, "--option", "x"), 2, "'x' is not of the form KEY=VALUE"),
        ((*RUN, "--option", "layout=\udcff"), 2, r"'layout=\udcff' is not valid UTF-8"),
        ((*CUSTOM, "--command", "echo \udcff"), 2, r"--command: 'echo \udcff' is not valid UTF-8"),
        ((*CUSTOM, "--pattern", "\udcff(.)"), 2, "--pattern: "),
        ((*CUSTOM, "--source", "\udcff"), 2, "--source: "),
        ((*RUN, "--data", "\udcff"), 2, "--data: "),
        ((*RUN, "--runtime", "docker"), 3, "no container engine answers"),
        ((*RUN, "--runtime", "host", "--image", "x"), 2, "--image x needs a container engine"),
        (("parse", "benchdok", "x"), 2, "did you mean 'benchdock'"),
        (("parse", "benchdock", "/absent"), 2, "/absent"),
        (("parity", "resnet5"), 2, "did you mean 'resnet50'"),
        (
            ("parity", "-f", "onnxruntime", "--level", "P3"),
            2,
            "onnxruntime does not support training",
        ),
        (("parity", "-f", "horovod_pytorch"), 2, "a vendor's program"),
        (("parity", "-f", "nvidia_caffe"), 2, "has no image for the CPU; use one of pytorch"),
        (("images", "build", "pytorch-cpuu"), 2, "did you mean 'pytorch-cpu'"),
        (("images", "fetsh"), 2, "did you mean 'fetch'"),
        (("images", "build", "--force", "pytorch-cpuu"), 2, "did you mean 'pytorch-cpu'"),
        (("images", "build", "pytorch"), 2, "did you mean 'pytorch-cpu'"),
        (("images", "list", "--force"), 2, "--force only works with `images build`"),
        (("images", "build", "--all"), 2, "--all only works with `images list`"),
        (("images", "bootstrap", "debian"), 2, "debian:bookworm-slim"),
        (("--verison",), 2, "did you mean '--version'"),
        ((*RUN, "--bacth", "3"), 2, "unknown option '--bacth'; did you mean '--batch'"),
        (("run", "--framewrok=pytorch", "resnet18"), 2, "did you mean '--framework'"),
        ((*RUN, "resnet34"), 2, "unexpected argument 'resnet34'; see `benchdock run --help`"),
        ((*RUN, "x" * 5000), 2, "unexpected argument 'xxx"),
        ((*RUN, "--option", "a=1", "--option", "a=2"), 2, "'a' is given twice"),
        ((*RUN, "--seed", "-1"), 2, "the minimum is 0"),
        ((*RUN, "--pids", "99999999999999999999"), 2, "the maximum is 4,194,304"),
        ((*RUN, "--data", ""), 2, "argument --data: it is empty"),
        ((*RUN, "--image", ""), 2, "argument --image: it is empty"),
        ((*RUN, "--image", "a b"), 2, "'a b' is not an image reference; use one such as"),
        ((*RUN, "--image", "UPPER/x:1", "--dry-run"), 2, "is not an image reference"),
        (
            ("images", "fetch", "--from", "/absent", "openvino-cpu"),
            2,
            "the folder /absent does not exist",
        ),
        (("reproduce", "x.yaml", "--runs", "0"), 2, "use --runs 3 or more"),
        (("frameworks", ""), 2, "argument NAME: it is empty"),
        (("results", "--model", "resnet5"), 2, "did you mean 'resnet50'"),
        (("results", "--model", "zzzz"), 2, "unknown model 'zzzz'; `benchdock models` lists them"),
        (("results", "-f", "pytorhc"), 2, "did you mean 'pytorch'"),
        (("results", "-f", "mxnet", "-f", "caffe"), 2, "'mxnet' was given already"),
        (("results", "--phase", "traning"), 2, "did you mean 'training'"),
        (("results", "--dtype", "flaot16"), 2, "did you mean 'float16'"),
        (("results", "--last", "0"), 2, "the minimum is 1"),
        (("results", "--last", "3", "--all"), 2, "--all: not allowed with argument --last"),
        (("results", "--fialed"), 2, "did you mean '--failed'"),
        (("results", "resnet50"), 2, "unknown subcommand 'resnet50'"),
        (("results", "shwo", "x"), 2, "did you mean 'show'"),
        (("results", "--json", "show", "x"), 2, "come after its name; see `benchdock results sh"),
        (("results", "--json", "x"), 2, "unknown subcommand 'x'"),
        (("results", "show"), 2, "required: RUN"),
        (("results", "show", "--jsno", "x"), 2, "did you mean '--json'"),
        (("results", "--since", "yesterday"), 2, "'yesterday' is not a time; write it like 2026"),
        (("results", "--batch", "0"), 2, "the minimum is 1"),
        (("compare", "x", "y"), 2, "no run or file is called 'x'; `benchdock results` lists the"),
        (("completion", "fihs"), 2, "use one of bash, zsh, tcsh"),
        (("run", "-f", "pytorch", "--", "-resnet18"), 2, "unknown model '-resnet18'"),
    ],
)
def test_bad_input_is_one_line(words, status, told):
    done = benchdock(*words)
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("benchdock: ")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr


OPTIONS = (("-f", "pytorch"), ("--batch", "3"), ("--dry-run",), ("--option=a=1",), ("--gpus=0,1",))


@pytest.mark.slow
@given(order=st.permutations((*OPTIONS, ("resnet18",))))
def test_names_and_options_stand_in_any_order(order):
    arguments = build_parser().parse_args(["run", *itertools.chain.from_iterable(order)])
    assert (arguments.model, arguments.framework, arguments.batch) == ("resnet18", "pytorch", 3)
    assert (arguments.dry_run, arguments.option, arguments.gpus) == (True, {"a": "1"}, (0, 1))


@pytest.mark.parametrize("words", ["build --force a b", "build a --force b", "--force build a b"])
def test_images_are_named_before_or_behind_an_option(words):
    arguments = build_parser().parse_args(["images", *words.split()])
    assert (arguments.action, arguments.names, arguments.force) == ("build", ["a", "b"], True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "resnet188", "-f", "pytorch"), 2),
        ((*RUN, "--bacth", "3"), 2),
        ((*RUN, "--runtime", "docker"), 3),
        (("verify", "/absent"), 2),
    ],
)
def test_a_refusal_is_a_document_too(words, status):
    done = benchdock(*words, "--json")
    told = json.loads(done.stdout)["error"]
    assert done.returncode == told["exit_status"] == status
    line = f"{told['message']}; {told['hint']}" if told["hint"] else told["message"]
    assert done.stderr == f"benchdock: {line}\n"


def test_only_a_run_can_use_the_host_instead(capsys):
    for words, helps in (
        (("run", "alexnet", "-f", "pytorch", "--runtime=docker", "--gpus=none"), True),
        (("images", "build", "pytorch-cpu"), False),
        (("images", "bootstrap"), False),
    ):
        assert main(words) == ExitStatus.MACHINE_CANNOT
        told = capsys.readouterr().err
        assert "no container engine answers" in told
        assert ("or use --runtime host" in told) is helps


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
MEASURED = "run mine -f custom --runtime host --command 'echo 1' --pattern '(.)'"
FAILED = "run mine -f custom --runtime host --command 'echo 1' --pattern 'fps=(.)'"


def shell(command, **environment):
    return subprocess.run(
        command,
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENCHDOCK": f"{sys.executable} -m orchestrator", **environment},
    )


@pytest.mark.slow
@FULL
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("models", 3),
        ("parse benchdock /dev/null", 3),
        ("published --json", 3),
        (f"{MEASURED} --quiet", 0),
        (f"{FAILED} --quiet", 1),
    ],
)
def test_a_full_disk_behind_the_output_is_reported_and_a_run_keeps_its_status(
    words, status, unbuffered
):
    done = shell(f"$BENCHDOCK {words} >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == status
    told = "benchdock: cannot write the output: No space left on device"
    assert done.stderr.splitlines()[-1] == told
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reader", "unbuffered", "status"),
    [
        (FAILED, "| true", "", 1),
        (FAILED, "2>&1 | head -1", "1", 1),
        (f"{FAILED} --json", "| true", "", 1),
        (f"{FAILED} --verbose", "2>&1 | head -1", "", 1),
        (f"{FAILED} --json", "2>&1 >&- | true", "", 1),
        (f"{MEASURED} --json --verbose", "2>&1 | true", "1", 0),
        ("verify /absent", "2>&1 | true", "", 2),
        ("models", "| head -1", "1", 0),
        ("models", ">&- | true", "", 0),
    ],
)
def test_a_reader_that_leaves_does_not_change_the_status(words, reader, unbuffered, status):
    done = shell(
        f"$BENCHDOCK {words} {reader}; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_a_ctrl_c_that_makes_something_stumble_is_not_a_bug(monkeypatch, capsys):
    def stumble(_):
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError

    monkeypatch.setattr("orchestrator.commands.models.describe", stumble)
    assert main(["models"]) == ExitStatus.INTERRUPTED
    assert capsys.readouterr().err == "benchdock: interrupted\n"


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.02, 0.05, 0.08, 0.12, 0.2])
def test_an_early_ctrl_c_is_one_line(after):
    command = [sys.executable, "-X", "importtime", "-m", "orchestrator", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        # The interpreter's own start is not ours to guard.
        for line in process.stderr:
            if b"orchestrator.start" in line or b"argparse" in line:
                break
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    said = [line for line in err.decode().splitlines() if not line.startswith("import time:")]
    assert (process.returncode, said) in [(130, ["benchdock: interrupted"]), (0, [])]


def test_a_clock_that_python_cannot_read_is_a_line(monkeypatch, capsys):
    def fail():
        raise OverflowError("timestamp too large")

    monkeypatch.setattr(time, "time", fail)
    assert main(["models"]) == ExitStatus.MACHINE_CANNOT
    assert "clock is centuries ahead; run" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["--memory=1g", "--pids=99"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_limit_that_the_host_cannot_keep_is_refused(limit, dry, capsys, tmp_path):
    assert main([*CUSTOM, "--command=x", "--pattern=(x)", limit, *dry]) == ExitStatus.BAD_REQUEST
    option = limit.partition("=")[0]
    assert f"{option} needs a container engine" in capsys.readouterr().err
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.parametrize(
    "word", ["--command=echo\n1", "--option=a=\x07", "--data=/tmp/a\nb", "--source=/tmp/\x9b"]
)
def test_what_no_script_can_hold_is_refused_before_a_folder_is_made(word, capsys, tmp_path):
    assert main([*CUSTOM, "--pattern=(x)", word]) == ExitStatus.BAD_REQUEST
    assert "contains a control character" in capsys.readouterr().err
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.parametrize("word", ["--source=--", "--data=--", "--batch=--", "-f=--", "--option=--"])
def test_two_dashes_are_not_a_value(word, capsys):
    assert main(["run", "resnet18", word, "-f", "pytorch"]) == ExitStatus.BAD_REQUEST
    assert "bug" not in capsys.readouterr().err
    assert main(["run", "resnet18", "-f", "pytorch", word]) == ExitStatus.BAD_REQUEST
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("framework", ["nvtfcnn", "tensorrt", "nvidia_caffe", "mxnet"])
@pytest.mark.parametrize("runtime", ["host", "auto"])
def test_a_vendors_image_without_an_engine_is_refused_also_in_a_plan(framework, runtime, capsys):
    words = ["run", "resnet50", "-f", framework, "--gpus=0", "--dry-run", f"--runtime={runtime}"]
    assert main(words) in (ExitStatus.MACHINE_CANNOT, ExitStatus.BAD_REQUEST)
    assert capsys.readouterr().err.count("\n") == 1


HOMES = {
    "no such user": {"BENCHDOCK_HOME": "~nouser/x"},
    "not text": {"BENCHDOCK_HOME": "/tmp/\udcff"},
    "a line's end": {"BENCHDOCK_HOME": "/tmp/a\nb"},
    "root": {"BENCHDOCK_HOME": "", "HOME": "/"},
    "roots": {"BENCHDOCK_HOME": "", "HOME": "//"},
    "relative": {"BENCHDOCK_HOME": "", "HOME": "x"},
    "a device": {"BENCHDOCK_HOME": "/dev/null"},
    "a kernel's": {"BENCHDOCK_HOME": "/proc/self"},
    "too long": {"BENCHDOCK_HOME": "/tmp/" + "x" * 300},
}


@pytest.mark.slow
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        (*CUSTOM, "--command=echo 1", "--pattern=(1)"),
        (*CUSTOM, "--command=echo 1", "--pattern=(1)", "--dry-run"),
        ("results",),
        ("compare", "x", "y"),
        ("images",),
    ],
)
def test_an_odd_home_is_a_line(home, words, capsys, monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for name, value in HOMES[home].items():
        monkeypatch.setenv(name, value)
    assert main(words) != ExitStatus.BUG
    err = capsys.readouterr().err
    assert "bug in benchdock" not in err


def test_no_home_and_no_password_entry_is_a_line(capsys, monkeypatch):
    for name in ("BENCHDOCK_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert main(["results"]) == ExitStatus.MACHINE_CANNOT
    assert capsys.readouterr().err == (
        "benchdock: HOME is not set, and user id 4000000 has no password entry; "
        "set BENCHDOCK_HOME to a writable folder\n"
    )


@pytest.mark.slow
def test_few_open_files_are_a_line(tmp_path):
    done = shell("ulimit -n 12; $BENCHDOCK run mine -f custom --runtime host")
    assert done.returncode == 3
    assert done.stderr == (
        "benchdock: only 12 files may be open at once; benchdock needs 64; "
        "run `ulimit -n 1024` to allow more\n"
    )
    assert shell(f"ulimit -n 64; $BENCHDOCK {MEASURED}").returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("runn", 2),
        ("run mine -f custom --runtime host --command 'echo hi' --pattern 'fps=(.)'", 1),
    ],
)
def test_a_full_disk_behind_standard_error_changes_no_status(words, status):
    command = f"{sys.executable} -m orchestrator {words} --json 2>/dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert json.loads(done.stdout)["schema"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status"), [("models >&-", 0), ("parse benchdock - <&-", 1), ("models x 2>&-", 2)]
)
def test_closed_streams_are_not_a_bug(words, status):
    done = subprocess.run(
        f"{sys.executable} -m orchestrator {words}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.slow
def test_what_a_terminal_has_no_letters_for_is_written_as_an_escape(tmp_path):
    log = tmp_path / "log"
    log.write_text("\N{SNOWMAN}\n", encoding="utf-8")
    done = benchdock("parse", "benchdock", str(log), PYTHONIOENCODING="ascii")
    assert r"\u2603" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "pipe", "pipe"),
        ("replay", "pipe"),
        ("replay", "./run"),
        ("bundle", "pipe"),
        ("verify", "pipe"),
        ("reproduce", "./pipe"),
        ("run", "pipe.onnx", "-f", "onnxruntime"),
    ],
)
def test_nobody_waits_for_a_pipe(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    for name in ("pipe", "pipe.onnx", "run/result.json"):
        os.mkfifo(name)
    assert main(words) == ExitStatus.BAD_REQUEST
    assert "is a pipe or a device; save it to a file first" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["bogus", "tcp://1.2.3.4:x", "tcp://[::1", "npipe://", "fd://", "tcp://a b:1"]
)
def test_an_address_that_is_none_is_reported(monkeypatch, capsys, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    assert main(["images", "build", "pytorch-cpu"]) == ExitStatus.MACHINE_CANNOT
    err = capsys.readouterr().err
    assert err.startswith(f"benchdock: no container engine answers at {address} (")
    assert "check DOCKER_HOST" in err


def test_models_as_a_document():
    rows = json.loads(benchdock("models", "--json").stdout)["models"]
    assert [row["name"] for row in rows] == list(zoo.names())
    resnet = next(row for row in rows if row["name"] == "resnet50")
    assert resnet["parameters"] == 25_610_269
    assert resnet["learnable"] == 25_557_096
    assert resnet["input_shape"] == [3, 224, 224]
    assert "pytorch" in resnet["frameworks"]
    assert {"name", "classes", "size_mib", "macs", "fingerprint"} <= set(resnet)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["models", "frameworks", "images", "doctor", "results"])
def test_reports_are_tables_or_one_document(command):
    assert benchdock(command).stdout
    done = benchdock(command, "--json")
    assert json.loads(done.stdout)["schema"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        *("run", "models", "frameworks", "images", "doctor", "parse", "parity", "completion"),
        *("published", "reproduce", "replay", "compare", "bundle", "verify", "results"),
    ],
)
def test_every_command_has_help_with_examples(command):
    done = benchdock(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"examples:\n  benchdock {command}", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_names(shell):
    script = benchdock("completion", shell).stdout
    assert "resnet50_v1.5" in script
    assert "pytorch" in script


@pytest.mark.slow
def test_a_dry_run_prints_the_plan_and_leaves_nothing(tmp_path):
    done = benchdock(*RUN, "--dry-run")
    assert done.returncode == 0
    assert "exec" in done.stdout
    assert "runtime         host" in done.stdout
    document = json.loads(benchdock(*RUN, "--dry-run", "--json").stdout)
    assert document["status"] == "planned"
    assert document["plan"]["script"].startswith("#!/usr/bin/env bash")
    assert document["request"]["schema"] == 1
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.slow
def test_a_dry_run_reads_well_for_a_person(tmp_path):
    limits = ("--shm-size", "2g", "--timeout", "90s")
    told = benchdock(*RUN, "--dry-run", "--runtime", "host", *limits).stdout
    settings, _, script = told.partition("\n# launcher.sh\n")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "limit           shm size 2.000 GiB\n" in settings
    assert "longest wait    first output 10 min 00 s\n" in settings
    assert "                the whole run 90.00 s\n" in settings
    assert not [line for line in settings.splitlines() if not line[16:].strip()]


@pytest.mark.slow
def test_a_program_without_an_image_is_refused_before_a_run_begins(tmp_path):
    source, framework = tmp_path / "source", "horovod_tensorflow"
    (source / "tensorflow2").mkdir(parents=True)
    (source / "tensorflow2" / "tensorflow2_synthetic_benchmark.py").touch()
    done = benchdock("run", "resnet50", "-f", framework, "--source", str(source))
    assert done.returncode == 2
    assert done.stderr == f"benchdock: {framework} has no image for the CPU; use --image\n"
    assert not (tmp_path / "home" / "runs").exists()


def test_a_full_disk_leaves_no_folder_of_a_run_that_never_was(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    custom = ("--command", "echo fps=1", "--pattern", "fps=(.*)", "--runtime", "host")
    assert main(["run", "mine", "-f", "custom", *custom]) == ExitStatus.MACHINE_CANNOT
    assert "no space for a result" in capsys.readouterr().err
    assert not [*(tmp_path / "home" / "runs").iterdir()]


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    done = benchdock(*RUN, "--runtime", "host", BENCHDOCK_HOME=str(tmp_path / "file"))
    assert done.returncode == 3
    where = tmp_path / "file" / "runs"
    told = f"cannot create a run folder in {where}: Not a directory; set BENCHDOCK"
    assert told in done.stderr
    parity = ("parity", "-f", "pytorch", "deep_mnist", "--runtime", "host")
    done = benchdock(*parity, BENCHDOCK_HOME=str(tmp_path / "file"))
    assert done.returncode == 3
    assert told in done.stderr


@pytest.mark.slow
def test_a_dry_run_for_a_gpu_this_machine_lacks_is_planned_with_a_warning():
    done = benchdock("run", "vgg19", "-f", "pytorch", "--gpus", "0,1", "--dry-run", "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["plan"]["device_count"] == 2
    assert any("GPU" in warning for warning in document["warnings"])


def test_a_bug_is_a_line_with_a_file_to_report(monkeypatch, capsys):
    monkeypatch.setattr("orchestrator.commands.models.describe", lambda _: 1 / 0)
    assert main(["models"]) == ExitStatus.BUG
    err = capsys.readouterr().err
    path = re.search(r"the details in (\S+)", err).group(1)
    assert err.count("\n") == 1
    with open(path, encoding="utf-8") as stream:
        assert "ZeroDivisionError" in stream.read()
    os.unlink(path)


def test_a_reader_that_leaves_early_is_not_an_error():
    done = subprocess.run(
        f"{sys.executable} -m orchestrator models --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from orchestrator.arguments.all import build_parser\n"
        "build_parser().format_help()\n"
        "heavy = {'pydantic', 'docker', 'rich', 'jinja2', 'pynvml', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("words", [["parse"], ["parse", "tf_cnn_benchmarks"]])
def test_a_device_without_an_end_is_not_a_log(words):
    done = benchdock(*words, "/dev/zero")
    assert done.returncode == 2
    assert done.stderr == "benchdock: /dev/zero is a device; use a file, or - to read a pipe\n"
