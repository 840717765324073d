"""Runs the host's pip, so that its indexes, mirrors, proxies and certificates apply."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.errors import ImageError, MachineError

OnLine = Callable[[str], None]

KEPT_LINES = 20

_NO_MATCH = re.compile(r"No matching distribution found for ([^\s(]+)")
_BAD_HASH = re.compile(r"THESE PACKAGES DO NOT MATCH THE HASHES")
_NO_INDEX = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Max retries exceeded"
    r"|Could not fetch URL|Failed to establish|NameResolutionError|Name or service not known"
    r"|CERTIFICATE_VERIFY_FAILED|ProxyError|Connection (?:refused|reset|to \S+ timed out)"
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED")
_FOLDER_HINT = "folder that has the wheels: `benchdock images fetch --from DIR`"
_UNREACHABLE_HINT = f"check `pip config list` (index-url, proxy), or use a {_FOLDER_HINT}"
_FULL_DISK = re.compile(r"No space left on device")


class PipError(ImageError):
    """pip failed; `details` are its last lines."""


class NoMatchError(PipError):
    """None of pip's indexes has a package."""


def command() -> tuple[str, ...]:
    """Return the command for pip: this Python's, else the one on PATH. Raises MachineError."""
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return (found,)
    raise MachineError(
        "pip is missing, which is needed to fetch Python packages",
        hint=f"run `{sys.executable} -m ensurepip` to install it",
    )


def run(arguments: Sequence[str], on_line: OnLine, *, pip: Sequence[str] | None = None) -> None:
    """Run pip and pass its output on. Raises PipError in one line, with pip's last lines."""
    argv = [*(pip or command()), *arguments]
    # Progress bars are for terminals, and a question would wait forever. Settings that change where
    # pip installs are meant for the user's packages, not for ours.
    environment = {**os.environ, "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "PYTHONUTF8": "1"}
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"):
        environment.pop(name, None)
    last: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                on_line(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise explain(tuple(last), process.returncode)


def explain(lines: Sequence[str], code: int) -> PipError:
    """Explain pip's failure in one line: which package and why."""
    text = "\n".join(lines)
    details = tuple(line for line in lines if line.strip())
    package = _NO_MATCH.search(text)
    if _CERTIFICATE.search(text):
        return PipError(
            "pip does not trust the certificate of a package index",
            hint="run `pip config set global.cert FILE` with your CA bundle",
            details=details,
        )
    # An unreachable index also ends in "no matching distribution", so check for it first.
    if _NO_INDEX.search(text):
        what = f"that answers has {package[1]}" if package else "answers"
        return PipError(f"no package index {what}", hint=_UNREACHABLE_HINT, details=details)
    if package:
        # With retries turned off, pip silently skips an unreachable index.
        none_at_all = "(from versions: none)" in text
        return NoMatchError(
            f"no package index has {package[1]} for this Python and machine",
            hint=_UNREACHABLE_HINT if none_at_all else f"use a {_FOLDER_HINT}",
            details=details,
        )
    if _BAD_HASH.search(text):
        return PipError(
            "a downloaded package does not have the digest in the lock file",
            hint="run `pip cache purge` and try again: an index or a cache may serve a changed "
            "file",
            details=details,
        )
    if _FULL_DISK.search(text):
        return PipError("the disk is full", hint="free some space", details=details)
    return PipError(f"pip failed with exit code {code}: {_cause(details)}", details=details)


def _cause(lines: Sequence[str]) -> str:
    errors = [line for line in lines if line.startswith("ERROR:")]
    if errors or lines:
        return (errors or list(lines))[-1].removeprefix("ERROR:").strip()
    return "no message"
