"""Finds in a log's last lines why a program died without saying so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from orchestrator.parsers import environment
from orchestrator.parsers.lines import without_rank
from orchestrator.result import Failure, FailureKind

EVIDENCE_LINES = 400

# Messages of PyTorch, CUDA, TensorFlow, oneDNN, MXNet, Caffe, Python and C++. CUDA's error 2 is
# cudaErrorMemoryAllocation.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|ResourceExhaustedError"
    r"|OOM when allocating|\bMemoryError\b|std::bad_alloc|annot allocate memory"
    r"|can't allocate memory|cudaErrorMemoryAllocation|cudaMalloc failed"
    r"|== cudaSuccess \(2 vs\. 0\)"
)
# TensorFlow's allocator warns like this in good runs too, whenever it uses a slower algorithm
# instead.
_NOT_A_FAILURE = "The caller indicates that this is not a failure"

# What the image lacks, in the words of Python, bash and the containers' init programs.
_NO_MODULE = r"No module named '?(?P<module>[\w.]+)'?"
_MISSING_MODULE = re.compile(rf"(?:ModuleNotFoundError|ImportError): {_NO_MODULE}")
_MISSING = re.compile(
    rf"\S*python[\d.]*: (?:{_NO_MODULE}|can't open file '?(?P<file>[^':]+)"
    r"|Error while finding module specification for '(?P<start>[\w.]+)')"
    r"|.*: (?P<command>[^:]+): command not found$"
    r"|.*: exec: (?P<program>[^:]+): (?:not found|cannot execute)"
    r"|.*launcher\.sh: line \d+: (?P<path>[^:]+): "
    r"(?:No such file or directory|cannot execute|not found)"
    r"|\[FATAL tini \(\d+\)\] exec (?P<first>\S+) failed: No such file"
    r"|ERROR \(catatonit:\d+\): failed to exec pid1: No such file"
)

# glog's prefix (month and day, with a year in later releases), TensorFlow's and abseil's.
_FATAL = re.compile(r"F(?:\d{4})?\d{4} \d\d:\d\d:\d+\.\d+ |\S+ \S+ F \S+:\d+\] ")
# The meaning of glog's last words, if they mean more than a crash. The first match counts.
_FATAL_KINDS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    (
        "data",
        re.compile(
            r"Failed to parse \w+ file|ReadProtoFrom\w+File|mdb_status == 0|Failed to open leveldb"
            r"|Could not open or find file|File not found|Failed to open HDF5|status\.ok\(\)"
            r"|Unknown bottom blob|Duplicate blobs? |produced by multiple sources"
        ),
    ),
    (
        "unsupported",
        re.compile(
            r"Unknown (?:layer|solver) type|in CPU-only Caffe|Support for \w+ is not enabled"
        ),
    ),
)
_PROTOBUF = re.compile(r"\[libprotobuf ERROR [^\]]*\] (?P<says>Error parsing text-format .*)")

# Flags and arguments that a program refuses: messages of absl, NVIDIA's examples, and argparse.
_REFUSED_FLAG = re.compile(
    r"(?:ERROR: )?Unknown command[ -]line (?:arg|flag)\b"
    r"|[\w.-]+: error: (?:unrecognized arguments|ambiguous option|argument -\S*|the following arg)"
)
_FLAGS_ERROR = "Flags parsing error:"

# Printed by C++ and the C library just before they abort.
_ABORT = re.compile(
    r"terminate called|libc\+\+abi: terminating|pure virtual method called"
    r"|(?:double free or corruption|free\(\): |malloc\(\): |malloc_consolidate\(\): |realloc\(\): "
    r"|munmap_chunk\(\): |corrupted (?:size|double-linked list)|\*\*\* .* detected \*\*\*)"
    r"|(?:MKL|Intel MKL) FATAL ERROR|.*: Assertion `.*' failed"
)
_WHAT = re.compile(r" +what\(\): +(?P<what>.+)")
# Printed about the death of another process: by Python's fault handler, the shell, the kernel.
_DEATH = re.compile(
    r"Segmentation fault|\bAborted\b|^Killed$|\bKilled +\S|Bus error|Illegal instruction"
    r"|core dumped|Fatal Python error|floating point exception"
    r"|Check failed:|: No such file or directory$|: Permission denied$",
    re.IGNORECASE,
)

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?::.*)?$")
# The last traceback may be of a parent, which only says that a child failed: torchrun,
# torch.distributed.launch of PyTorch 1.8 and older, Python programs that start others, horovodrun.
_UNTELLING = re.compile(
    r"\S*ChildFailedError|(?:subprocess\.)?CalledProcessError: |\S*ProcessExitedException"
    r"|RuntimeError: (?:Horovod detected that|horovodrun|mpirun)|\S*ProcessRaisedException"
)
# Printed without the first lines of a traceback of a program's own file.
_UNREADABLE = re.compile(r"(?:Syntax|Indentation|Tab)Error: ")
_FILE = re.compile(r' +File "(?P<file>[^"]+)", line (?P<line>\d+)')
_MORE_LINES, _MORE_TEXT = 8, 300
# TensorFlow counts the errors that came together, and prints each on a separate line.
_ROOT_ERRORS = re.compile(r"\d+ root error\(s\) found\.$")
_ROOT_ERROR = re.compile(r"\s*\(0\) (?P<says>\S.*)")


def evidence(lines: Sequence[str], *, isolated: bool | None = None) -> Failure | None:
    """Return the failure that the last lines of an unfinished log show, if they show one.

    `isolated` says whether the program had no network, None if unknown. The causes are checked in
    the order in which they explain each other: a fatal line of glog aborts the program, and an
    abort makes Python's fault handler and the shell print something too.
    """
    lines = [*map(without_rank, lines)]
    return (
        environment.refused(lines)
        or _out_of_memory(lines)
        or _fatal(lines)
        or _missing(lines)
        or _refused_flag(lines)
        or environment.unreachable(lines, _last_exception(lines), isolated=isolated)
        or _exception(lines)
        or _unreadable(lines)
        or _abort(lines)
        or _death(lines)
        or _parents_word(lines)
    )


def _out_of_memory(lines: Sequence[str]) -> Failure | None:
    line = _last(_OUT_OF_MEMORY, [line for line in lines if _NOT_A_FAILURE not in line])
    if not line:
        return None
    message = f"the program ran out of memory: {line}"
    return Failure(kind="out_of_memory", message=message, evidence=line)


def _fatal(lines: Sequence[str]) -> Failure | None:
    """Judge the first fatal line: those of other threads follow from it."""
    line = next((line for line in lines if _FATAL.match(line)), "")
    if not line:
        return None
    for kind, pattern in _FATAL_KINDS:
        if pattern.search(line):
            found = [m["says"] for m in map(_PROTOBUF.match, lines) if m and kind == "data"]
            message = ": ".join(["the program refused its input", *found[:1], line])
            return Failure(kind=kind, message=message, evidence=line)
    return _crashed(line)


def _missing(lines: Sequence[str]) -> Failure | None:
    """Recognize a crash because a module or a program is missing; one that was caught does not
    count.
    """
    raised = _last_exception(lines)
    module = _MISSING_MODULE.match(raised)
    if module:
        return _lacks(f"the Python module {module['module']!r}", raised)
    if raised:
        return None
    line = next((line for line in reversed(lines) if _MISSING.match(line)), "")
    found = _MISSING.match(line)
    if found is None:
        return None
    name = next(filter(None, found.groups()), "what was to be started")
    named = f"the Python module {name!r}" if found["module"] or found["start"] else name
    return _lacks(named, line)


def _lacks(what: str, line: str) -> Failure:
    """Blame the image, or on the host runtime the environment that replaces it."""
    message = f"{what} is missing where the program ran: {line}"
    return Failure(kind="image", message=message, evidence=line)


def _refused_flag(lines: Sequence[str]) -> Failure | None:
    """Recognize a program that refuses its command line.

    absl prints `FATAL Flags parsing error:` and names the flag in the next line.
    """
    for index, line in enumerate(lines):
        after_heading = index and lines[index - 1].strip().endswith(_FLAGS_ERROR)
        said = line.strip()
        if after_heading or _REFUSED_FLAG.match(said):
            message = f"the program refuses its command line: {said}"
            return Failure(kind="unsupported", message=message, evidence=line)
    return None


def _exception(lines: Sequence[str]) -> Failure | None:
    line = _last_exception(lines)
    if not line:
        return None
    after = len(lines) - [*reversed(lines)].index(line)
    following = lines[after : after + _MORE_LINES]
    if _ROOT_ERRORS.search(line):
        cause = next((m["says"] for m in map(_ROOT_ERROR.match, following) if m), "")
        return _crashed(line, f" {cause[:_MORE_TEXT]}" if cause else "")
    if line.endswith(":"):
        # C++ behind Python explains the cause in more lines (OpenVINO, PyTorch's extensions).
        return _crashed(line, f" {' '.join(text.strip() for text in following)[:_MORE_TEXT]}")
    return _crashed(line)


def _unreadable(lines: Sequence[str]) -> Failure | None:
    """Recognize a program that this Python cannot parse; the line above says where."""
    for index in range(len(lines) - 1, -1, -1):
        if _UNREADABLE.match(lines[index]):
            place = next((m for m in map(_FILE.match, reversed(lines[:index])) if m), None)
            where = f" ({place['file']}, line {place['line']})" if place else ""
            return _crashed(lines[index], where)
    return None


def _parents_word(lines: Sequence[str]) -> Failure | None:
    """Use what a parent says about its child, if the child said nothing itself."""
    line = _last_exception(lines, untelling=True)
    return _crashed(line) if line else None


def _abort(lines: Sequence[str]) -> Failure | None:
    """Use the last line of its kind; C++ names what was thrown in the next line."""
    for index in range(len(lines) - 1, -1, -1):
        if _ABORT.match(lines[index]):
            what = next((m for m in map(_WHAT.match, lines[index + 1 : index + 3]) if m), None)
            return _crashed(lines[index], f": {what['what']}" if what else "")
    return None


def _death(lines: Sequence[str]) -> Failure | None:
    line = _last(_DEATH, lines)
    return _crashed(line) if line else None


def _crashed(line: str, more: str = "") -> Failure:
    return Failure(kind="crashed", message=f"the program crashed: {line}{more}", evidence=line)


def _last(pattern: re.Pattern[str], lines: Iterable[str]) -> str:
    return next((line for line in reversed([*lines]) if pattern.search(line)), "")


def _last_exception(lines: Sequence[str], *, untelling: bool = False) -> str:
    """Return the last line of the last specific Python traceback, else of any traceback, or ""."""
    for start in range(len(lines) - 1, -1, -1):
        if not lines[start].endswith(_TRACEBACK):
            continue
        for line in lines[start + 1 :]:
            if not line.startswith(" ") and _EXCEPTION.match(line):
                if _UNTELLING.match(line) and not untelling:
                    break
                return line
    return ""
