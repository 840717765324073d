"""A user's crontab: our lines stand between two comments, and all others stay as they are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import MachineError
from orchestrator.paths import nights

_NONE = b"no crontab for"
_PATIENCE = 30.0
_BEGIN = "# benchdock nightly {suite}: begin (remove it with `benchdock nightly remove {suite}`)"
_END = "# benchdock nightly {suite}: end"


def command(words: Sequence[str]) -> str:
    """Return words as a shell's command in a crontab, where a bare % would start its input."""
    return shlex.join(words).replace("%", "\\%")


def line(at: tuple[int, int], words: Sequence[str]) -> str:
    """Return the line that runs words every day at an hour and a minute."""
    hour, minute = at
    return f"{minute} {hour} * * * {command(words)}"


def without(text: bytes, suite: str) -> bytes:
    """Return a crontab without our lines for a suite.

    Raises MachineError if somebody removed one of the two comments.
    """
    begin, end = (re.escape(comment.format(suite=suite).encode()) for comment in (_BEGIN, _END))
    begin = begin[: begin.index(rb"\ \(remove")]
    found = re.sub(rb"(?ms)^" + begin + rb"\b[^\n]*\n.*?^" + end + rb"\n?", b"", text)
    for comment in (begin, end):
        if re.search(rb"(?m)^" + comment + rb"(\s|$)", found):
            raise MachineError(
                f"the crontab has only one of the two comments around the lines of {suite}",
                hint="run `crontab -e` and remove what is left of them",
            )
    return found


def with_lines(text: bytes, suite: str, lines: Sequence[str]) -> bytes:
    """Return a crontab with our lines for a suite, in place of those that it has."""
    rest = without(text, suite)
    if rest and not rest.endswith(b"\n"):
        rest += b"\n"
    block = (_BEGIN.format(suite=suite), *lines, _END.format(suite=suite))
    return rest + "".join(f"{one}\n" for one in block).encode("utf-8", "surrogateescape")


def lines_of(text: bytes, suite: str) -> list[str]:
    """Return our lines for a suite."""
    told = text.decode("utf-8", "replace").split("\n")
    begin, end = _BEGIN.format(suite=suite), _END.format(suite=suite)
    if begin not in told or end not in told:
        return []
    return told[told.index(begin) + 1 : told.index(end)]


def is_here() -> bool:
    """Whether this system has crontabs."""
    return shutil.which("crontab") is not None


def read() -> bytes:
    """Return the crontab of this user, empty if there is none. Raises MachineError."""
    done = _run(["crontab", "-l"])
    if done.returncode == 0:
        return done.stdout
    if _NONE in done.stderr:
        return b""
    raise MachineError(f"cannot read the crontab: {_said(done)}", hint="run `crontab -l`")


def write(text: bytes, before: bytes) -> Path | None:
    """Install a crontab; return where the old one is kept, None if nothing had to be done.

    Raises MachineError.
    """
    if text == before:
        return None
    kept = nights() / f"crontab.before-{time.strftime('%Y%m%dT%H%M%S')}"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(before)
    except OSError as error:
        raise MachineError(
            f"cannot write {kept}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
        ) from None
    done = _run(["crontab", "-"], text)
    if done.returncode:
        raise MachineError(f"cannot write the crontab: {_said(done)}", hint="run `crontab -e`")
    return kept


def _run(words: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            words, input=given, capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError:
        raise MachineError(
            "this system has neither systemd nor crontabs", hint="install the package cron"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"cannot run crontab: {error}", hint="run `crontab -l`") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    told = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
    return told or f"it ended with status {done.returncode}"
