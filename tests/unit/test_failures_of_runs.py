"""The verdict on a finished run."""

import pytest

from orchestrator.errors import ExitStatus
from orchestrator.result import Failure, Measurement, Result
from orchestrator.run.failures import describe_exit, exit_status, failure_of, too_few_processes
from orchestrator.runtimes.contract import Exit

GOOD = Measurement(program="benchdock")
SILENT = Measurement(
    program="benchdock", failure=Failure(kind="no_result", message="no end", evidence="last line")
)


def failed(kind):
    return Measurement(program="benchdock", failure=Failure(kind=kind, message="told"))


def test_a_complete_result_and_exit_code_zero_is_a_success():
    assert failure_of(GOOD, Exit(code=0), None) is None


def test_a_result_followed_by_exit_code_one_is_a_crash():
    failure = failure_of(GOOD, Exit(code=1), None)
    assert failure.kind == "crashed"
    assert "printed a result but then ended with exit code 1" in failure.message


@pytest.mark.parametrize("code", [0, 137])
def test_an_oom_kill_counts_even_if_the_exit_code_is_zero(code):
    failure = failure_of(GOOD, Exit(code=code, oom_killed=True), None)
    assert failure.kind == "out_of_memory"
    assert "--memory" in failure.message


def test_a_killed_container_is_a_crash_that_names_the_signal():
    failure = failure_of(SILENT, Exit(code=137), None)
    assert failure.kind == "crashed"
    assert "SIGKILL" in failure.message
    assert failure.evidence == "last line"


def test_a_silent_success_is_not_a_result():
    assert failure_of(SILENT, Exit(code=0), None).kind == "no_result"


@pytest.mark.parametrize("kind", ["out_of_memory", "unsupported", "data", "image"])
def test_what_the_program_tells_of_itself_beats_its_exit_code(kind):
    assert failure_of(failed(kind), Exit(code=1), None).kind == kind


def test_who_was_stopped_by_us_did_not_crash():
    stopped = Failure(kind="timeout", message="too long")
    assert failure_of(SILENT, Exit(code=143, oom_killed=True), stopped) is stopped


@pytest.mark.parametrize(
    "line",
    [
        "[FATAL tini (1)] fork failed: Resource temporarily unavailable",
        "launcher.sh: fork: retry: Resource temporarily unavailable",
        "RuntimeError: can't start new thread",
    ],
)
def test_a_limit_of_processes_is_named_where_it_was_met(line):
    failure = failure_of(SILENT, Exit(code=254), None)
    named = too_few_processes(failure, 2, ["before", line, "after"])
    assert (named.kind, named.evidence) == ("crashed", line)
    assert "could not start more than 2 processes and threads; raise --pids" in named.message
    proven = failure.model_copy(update={"evidence": line})
    assert too_few_processes(proven, 2, []).message == named.message
    assert too_few_processes(failure, None, [line]) is failure
    assert too_few_processes(failure, 2, ["before"]) is failure
    assert too_few_processes(None, 2, [line]) is None


def test_a_vanished_container_is_the_engines_failure():
    failure = failure_of(SILENT, Exit(code=None, detail="gone"), None)
    assert failure.kind == "engine"
    assert "gone" in failure.message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1"),
        (128, "exit code 128"),
        (132, "exit code 132 (SIGILL)"),
        (134, "exit code 134 (SIGABRT)"),
        (135, "exit code 135 (SIGBUS)"),
        (136, "exit code 136 (SIGFPE)"),
        (139, "exit code 139 (SIGSEGV)"),
        (-11, "exit code -11 (SIGSEGV)"),
        (170, "exit code 170 (signal 42)"),
        (255, "exit code 255"),
        (-200, "exit code -200"),
    ],
)
def test_exit_codes_in_words(code, words):
    assert describe_exit(code) == words


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, ExitStatus.OK),
        ("crashed", ExitStatus.BENCHMARK_FAILED),
        ("out_of_memory", ExitStatus.BENCHMARK_FAILED),
        ("image", ExitStatus.MACHINE_CANNOT),
        ("engine", ExitStatus.MACHINE_CANNOT),
        ("interrupted", ExitStatus.INTERRUPTED),
    ],
)
def test_exit_status_of_a_result(kind, status):
    failure = Failure(kind=kind, message="x") if kind else None
    result = Result(benchdock="0", status="failed" if failure else "ok", failure=failure)
    assert exit_status(result) is status
