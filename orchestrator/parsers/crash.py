"""Recognises in a log's last lines why a program died without saying so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.result import Failure

EVIDENCE_LINES = 400

# PyTorch, CUDA, TensorFlow, oneDNN, MXNet, Caffe, Python and C++, each in its own words.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|ResourceExhaustedError"
    r"|OOM when allocating|\bMemoryError\b|std::bad_alloc|annot allocate memory"
    r"|can't allocate memory|cudaErrorMemoryAllocation|cudaMalloc failed"
)
_CRASH = re.compile(
    r"Segmentation fault|\bAborted\b|^Killed$|\bKilled +\S|Bus error|Illegal instruction"
    r"|core dumped|Fatal Python error|terminate called|floating point exception"
    r"|Check failed:|: command not found$|: No such file or directory$|: Permission denied$",
    re.IGNORECASE,
)
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?::.*)?$")
# torchrun's own traceback comes last and only says that some worker failed.
_UNTELLING = "ChildFailedError"


def _last_exception(lines: Sequence[str]) -> str:
    """Return the last line of the last telling Python traceback, or ""."""
    for start in range(len(lines) - 1, -1, -1):
        if not lines[start].endswith(_TRACEBACK):
            continue
        for line in lines[start + 1 :]:
            if not line.startswith(" ") and _EXCEPTION.match(line):
                if _UNTELLING in line:
                    break
                return line
    return ""


def evidence(lines: Sequence[str]) -> Failure | None:
    """Return the failure that the last lines of an unfinished log show, if they show one."""
    for line in reversed(lines):
        if _OUT_OF_MEMORY.search(line):
            message = f"the program ran out of memory: {line}"
            return Failure(kind="out_of_memory", message=message, evidence=line)
    traces = (line for line in reversed(lines) if _CRASH.search(line))
    line = _last_exception(lines) or next(traces, "")
    if line:
        return Failure(kind="crashed", message=f"the program crashed: {line}", evidence=line)
    return None
