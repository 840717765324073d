"""Says why a finished run failed, from how it ended and what its log says."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

from orchestrator.errors import (
    BenchdockError,
    DataError,
    ExitStatus,
    ImageError,
    Interrupted,
    MachineError,
)
from orchestrator.result import Failure, FailureKind, Measurement, Result
from orchestrator.runtimes.contract import Exit

# Messages of init programs, shells and thread libraries; of Python; of LLVM's OpenMP.
_NO_PROCESS = re.compile(
    r"Resource temporarily unavailable|can't start new thread|OMP: Error #34\b"
)


def kind_of(error: BenchdockError) -> FailureKind:
    """Return the failure kind under which an error is filed."""
    match error:
        case Interrupted():
            return "interrupted"
        case ImageError():
            return "image"
        case DataError():
            return "data"
        case MachineError():
            return "engine"
        case _:
            return "crashed"


def failure_of(measurement: Measurement, ended: Exit, stopped: Failure | None) -> Failure | None:
    """Return why a run failed, or None if it succeeded.

    `stopped` is set if benchdock itself ended the run (a clock, a signal, a full disk). The causes
    are checked in the order in which they explain each other: a program that we stopped did not
    crash, and one that was killed for memory did not forget to print a result.
    """
    if stopped is not None:
        return stopped
    told = measurement.failure
    if ended.oom_killed:
        return _out_of_memory(ended, told)
    if told is not None and told.kind not in ("no_result", "crashed"):
        return told
    if ended.code is None:
        detail = ended.detail or "the engine no longer knows the container"
        return Failure(kind="engine", message=f"the container vanished: {detail}")
    if ended.code != 0:
        return _crashed(ended.code, told, ended.detail)
    return told


def too_few_processes(
    failure: Failure | None, limit: int | None, last_lines: Iterable[str]
) -> Failure | None:
    """Blame the limit of processes if the end of the log shows that it was reached."""
    if failure is None or limit is None or failure.kind not in ("crashed", "no_result"):
        return failure
    said = (failure.evidence, *last_lines)
    line = next((line for line in said if _NO_PROCESS.search(line)), "")
    if not line:
        return failure
    message = f"the program could not start more than {limit} processes and threads; raise --pids"
    return failure.model_copy(update={"message": message, "evidence": line})


def _out_of_memory(ended: Exit, told: Failure | None) -> Failure:
    victim = "the program" if ended.code else "a process of the program"
    return Failure(
        kind="out_of_memory",
        message=f"the kernel killed {victim} for memory (exit code {ended.code}); "
        "raise --memory or lower --batch",
        evidence=told.evidence if told else "",
    )


def _crashed(code: int, told: Failure | None, detail: str) -> Failure:
    how = describe_exit(code)
    if told is None:
        message = f"the program printed a result but then ended with {how}"
    elif told.kind == "crashed":
        message = f"{told.message} ({how})"
    else:
        message = f"the program ended with {how}"
    if detail:
        message += f": {detail}"
    return Failure(kind="crashed", message=message, evidence=told.evidence if told else "")


def describe_exit(code: int) -> str:
    """Describe an exit code: a signal is named (128 + signal, or -signal in Python)."""
    number = -code if code < 0 else code - 128
    if number in signal.valid_signals() and number > 0:
        return f"exit code {code} ({_signal_name(number)})"
    return f"exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the two that Python names
        return f"signal {number}"


def exit_status(result: Result, *, signal_number: int | None = None) -> ExitStatus:
    """Return the exit status of the command that made this result."""
    if signal_number is not None:
        return ExitStatus(128 + signal_number)
    if result.failure is None:
        return ExitStatus.OK
    match result.failure.kind:
        case "engine" | "image":
            return ExitStatus.MACHINE_CANNOT
        case "interrupted":
            return ExitStatus.INTERRUPTED
        case _:
            return ExitStatus.BENCHMARK_FAILED
