import json
from typing import get_args

import pytest

from orchestrator.cli import main_inner
from orchestrator.commands import parse as parse_command
from orchestrator.errors import RequestError
from orchestrator.parsers.estimators import ESTIMATORS, Scope
from orchestrator.parsers.places import last_line_with
from tests.support import own_log
from tests.support.vendor_samples import DLBS_MXNET, HOROVOD, NVTFCNN, TORCHBENCH


@pytest.fixture
def run(tmp_path, capsys):
    def parse(program, data, *arguments):
        log = tmp_path / "log.txt"
        log.write_bytes(data)
        status = main_inner(["parse", program, str(log), *arguments])
        return int(status), capsys.readouterr().out

    return parse


def test_explain_shows_the_lines_that_gave_the_number(run):
    status, shown = run("horovod", HOROVOD, "--explain")
    assert status == 0
    assert "line 9: Total img/sec on 4 GPU(s): 800.0 +-4.9\n" in shown
    assert "the program's figure is the mean of the window rates, of all devices\n" in shown
    _, shown = run("nvtfcnn", NVTFCNN, "--explain")
    assert "windows: 4 of 6 are used, without the first 2 (warm-up)" in shown
    assert "line 14:     20  20.0   100.0  0.002  0.978 1.31220\n" in shown
    assert "line 14" not in run("nvtfcnn", NVTFCNN)[1]


def test_what_a_log_tells_of_its_run_is_shown(run):
    told = "  what        googlenet training, mxnet, float32, batch 2\n"
    assert told in run("dlbs", DLBS_MXNET)[1]
    two = DLBS_MXNET.replace(b"num_gpus__=1", b"num_gpus__=2")
    assert "float32, batch 2 per device\n" in run("dlbs", two.replace(b"__=1250", b"__=2500"))[1]


def test_explain_shows_every_run_of_a_log(run):
    status, shown = run("horovod", HOROVOD * 2, "--explain")
    assert status == 1
    assert "block 2:\n" in shown
    assert "line 18: Total" in shown
    status, shown = run("horovod", HOROVOD * 2, "--explain", "--block", "2", "--json")
    assert status == 0
    result = json.loads(shown)
    assert result["metrics"]["throughput"] == {"value": 800.0, "unit": "samples/s"}
    assert result["program"]["evidence"][-1] == [18, "Total img/sec on 4 GPU(s): 800.0 +-4.9"]
    _, shown = run("horovod", HOROVOD * 2, "--explain", "--block", "2")
    assert "line 9:" not in shown


def test_explain_of_our_own_programs_has_nothing_to_add(run):
    assert run("benchdock", b"", "--explain")[1] == run("benchdock", b"")[1]


def test_hints_reach_the_parser(run):
    text = TORCHBENCH.replace(b" with input batch size 32.", b".")
    assert run("torchbench", text)[0] == 1
    assert run("torchbench", text, "--batch", "4")[0] == 0
    custom = ("--pattern", r"per batch: +(\S+) milliseconds", "--unit", "ms", "--estimator", "last")
    status, shown = run("custom", TORCHBENCH, *custom, "--batch", "8", "--devices", "2", "--json")
    assert status == 0
    assert json.loads(shown)["metrics"]["throughput"]["value"] == pytest.approx(16 / 0.0126)


def test_a_block_that_is_not_there_is_a_wrong_request(run):
    with pytest.raises(
        RequestError, match="block 3 does not exist: the log contains 2 runs; use --block 1 to"
    ):
        run("horovod", HOROVOD * 2, "--block", "3")
    with pytest.raises(
        RequestError, match="block 2 does not exist: the log contains 1 run; remove --block"
    ):
        run("horovod", HOROVOD, "--block", "2")
    # One of several runs has a result: the log is good for something.
    broken = HOROVOD.replace(b"Total", b"Todal")
    with pytest.raises(RequestError, match="block 3 does not exist"):
        run("horovod", broken + HOROVOD, "--block", "3")


@pytest.mark.parametrize("log", [b"", b"no figure\n", HOROVOD.replace(b"Total", b"Todal")])
def test_a_log_without_a_result_is_a_failure_whatever_block_is_asked_for(run, log):
    status, shown = run("horovod", log, "--block", "5", "--json")
    assert status == 1
    assert json.loads(shown)["failure"] == json.loads(run("horovod", log, "--json")[1])["failure"]


def test_every_estimator_and_scope_has_words():
    assert set(parse_command._ESTIMATORS) == set(ESTIMATORS)
    assert set(parse_command._SCOPES) == set(get_args(Scope))


@pytest.mark.parametrize("option", ["--pattern=(x)", "--unit=ms", "--estimator=last"])
def test_what_reads_any_program_is_refused_if_one_is_known(run, option):
    with pytest.raises(RequestError, match="only works with the program custom; remove --"):
        run("horovod", HOROVOD, option)


DIED = ["Traceback (most recent call last):", '  File "x.py", line 3', "ValueError: bad  gap\tend"]


@pytest.mark.parametrize("prefix", ["", "node07: ", "2024-05-06T07:08:09.5Z ", "a-1  | 0: "])
def test_explain_shows_the_line_that_says_why_a_program_died(run, prefix):
    lines = [*HOROVOD.decode().splitlines()[:3], *DIED, "", "ended"]
    log = "\n".join(prefix + line for line in lines).encode()
    status, shown = run("horovod", log, "--explain")
    assert status == 1
    assert f"line 6: {prefix}ValueError: bad  gap" in shown
    assert "the program's figure" not in shown
    assert "line 6" not in run("horovod", log)[1]


def test_explain_shows_the_line_that_makes_a_log_contradict_itself(run):
    shown = run(
        "horovod", HOROVOD + HOROVOD[HOROVOD.index(b"Total") :].replace(b"800", b"900"), "--explain"
    )[1]
    assert "line 10: Total img/sec on 4 GPU(s): 900.0" in shown


def test_explain_shows_the_end_event_of_our_own_programs(run):
    log = b"noise\n" * 3 + own_log.log(own_log.GOOD)
    shown = run("benchdock", log, "--explain")[1]
    assert 'line 8: ::benchdock {"event": "end", "samples": 320' in shown


def test_explain_says_what_was_removed(run):
    log = b"".join(b"node07: " + line + b"\n" for line in HOROVOD.splitlines())
    shown = run("horovod", log, "--explain")[1]
    assert "removed from each line: the prefix of names of hosts\n" in shown
    assert "line 9: Total img/sec" in shown


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_last_line_with_a_text_is_found_however_the_log_is_cut(size):
    log = b"one\r\nsame text\ntwo\n  same\ttext \xff\nlast"
    blocks = [log[place : place + size] for place in range(0, len(log), size)]
    assert last_line_with("same text", blocks) == (2, "same text")
    assert last_line_with("last", blocks) == (5, "last")
    assert last_line_with("one", blocks) == (1, "one")
    assert last_line_with("absent", blocks) is None
    assert last_line_with("", blocks) is None
