"""`benchdock parse LOG` detects the program of every sample, and says by which line."""

import io
import json

import pytest

from orchestrator.cli import main_inner
from orchestrator.errors import RequestError
from orchestrator.parsers import ParseHints, parse, parse_any
from tests.support import framework_samples, own_log
from tests.support.vendor_samples import HOROVOD, NVCNN, TF_CNN, TORCHBENCH
from tests.support.vendor_samples import SAMPLES as VENDOR_SAMPLES

SAMPLES = {**VENDOR_SAMPLES, **framework_samples.SAMPLES}
KNOWN = sorted(name for name in SAMPLES if SAMPLES[name][0] != "custom")


@pytest.fixture
def run(tmp_path, capsys):
    def parse_log(data, *words):
        log = tmp_path / "log.txt"
        log.write_bytes(data)
        status = main_inner(["parse", *(str(log) if word == "LOG" else word for word in words)])
        return int(status), capsys.readouterr().out

    return parse_log


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_program_of_a_log_is_found(name):
    program, log, hints, _, _ = SAMPLES[name]
    found = parse_any(io.BytesIO(log), hints)
    known_by = found.begin.known_by
    named = found.model_copy(update={"begin": found.begin.model_copy(update={"known_by": None})})
    assert named == parse(program, io.BytesIO(log), hints)
    number, text = known_by
    assert log.decode().split("\n")[number - 1].expandtabs(8)[:300] == text


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_a_log_with_prefixes_is_of_the_same_program(name):
    program, log, hints, _, _ = SAMPLES[name]
    stamped = b"".join(b"trainer-1  | " + line + b"\n" for line in log.splitlines())
    assert parse_any(io.BytesIO(stamped), hints).program == program


def test_our_own_programs_are_found():
    found = parse_any(io.BytesIO(b"noise\n" + own_log.log(own_log.GOOD)))
    assert (found.program, found.failure) == ("benchdock", None)
    assert found.begin.known_by[0] == 2


def test_what_was_found_is_said(run):
    status, shown = run(HOROVOD, "LOG")
    assert status == 0
    assert shown.startswith("detected a log of horovod by line 9: Total img/sec on 4 GPU(s): 800.0")
    status, shown = run(HOROVOD, "LOG", "--json")
    told = json.loads(shown)["program"]
    assert told["known_as"] == "horovod"
    assert told["known_by"] == [9, "Total img/sec on 4 GPU(s): 800.0 +-4.9"]
    assert "a log of" not in run(HOROVOD, "horovod", "LOG")[1]


def test_options_may_stand_anywhere(run):
    text = TORCHBENCH.replace(b" with input batch size 32.", b".")
    assert run(text, "LOG")[0] == 1
    for words in ("--batch 4 LOG", "LOG --batch 4", "torchbench LOG --batch=4"):
        assert run(text, *words.split())[0] == 0


def test_a_program_without_a_result_is_found_too(run):
    status, shown = run(HOROVOD[: HOROVOD.index(b"Img/sec")], "LOG")
    assert status == 1
    assert "a log of horovod" in shown
    assert run(HOROVOD * 2, "LOG")[0] == 1
    assert run(HOROVOD * 2, "LOG", "--block", "2")[0] == 0
    with pytest.raises(RequestError, match="block 3 does not exist"):
        run(HOROVOD * 2, "LOG", "--block", "3")


def test_two_programs_in_a_log_are_both_named(run):
    with pytest.raises(RequestError) as error:
        run(HOROVOD + framework_samples.MXNET_SCORE, "LOG")
    assert "mxnet_score (line 12) or horovod (line 9)" in str(error.value)
    assert "type `benchdock parse mxnet_score LOG` or `benchdock parse horovod LOG`" in str(
        error.value
    )
    header = TF_CNN[: TF_CNN.index(b"Mode")]
    assert NVCNN.startswith(header[:5])
    with pytest.raises(RequestError, match=r"tf_cnn_benchmarks .* or nvcnn"):
        run(header, "LOG")


@pytest.mark.parametrize("log", [b"", b"nothing known\n", b"loss 3.5\naccuracy 0.7\n" * 100])
def test_a_log_of_no_known_program_lists_what_to_type(run, log):
    with pytest.raises(RequestError) as error:
        run(log, "LOG")
    assert "no known program prints any line of the log" in str(error.value)
    assert "trtexec" in str(error.value)
    assert "benchdock parse custom LOG --pattern" in str(error.value)


@pytest.mark.slow
def test_a_long_log_is_found_by_its_end():
    noise = b"words of a program, not known to anyone here\n" * 120_000
    assert parse_any(io.BytesIO(noise + HOROVOD)).program == "horovod"
    late = parse_any(io.BytesIO(HOROVOD[:100] + noise + HOROVOD[100:]), ParseHints())
    assert (late.program, late.failure) == ("horovod", None)


def test_a_pattern_is_that_of_any_program(run):
    status, _ = run(b"fps=12.5\n", "LOG", "--pattern", "fps=(.+)")
    assert status == 0
    with pytest.raises(RequestError, match="--unit only works with the program custom"):
        run(HOROVOD, "LOG", "--unit", "ms")


def test_a_word_for_any_program_is_answered_with_the_command(run):
    with pytest.raises(
        RequestError, match=r"unknown program 'auto'; type `benchdock parse \S+log.txt`"
    ):
        run(HOROVOD, "auto", "LOG")
    with pytest.raises(
        RequestError, match="the log file is missing; type `benchdock parse horovod LOG`"
    ):
        run(HOROVOD, "horovod")
