"""The environment of a scheduled night, pinned in a file.

cron gives a program HOME, LOGNAME, PATH=/usr/bin:/bin and SHELL, and nothing else: no LANG, no
DOCKER_HOST, no folder of nvidia-smi, and perhaps another HOME than the one with the results.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import home, nights, write_aside
from orchestrator.record_files import read_given

# As far as they are set when a night is installed; some of them are secrets.
KEPT = (
    *("HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH"),
    *("DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"),
    *("BENCHDOCK_DATABASE", "BENCHDOCK_WEBHOOK", "PGPASSFILE", "TMPDIR", "TZ"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CONFIG_FILE", "PIP_INDEX_URL"),
)
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_LANGUAGE = "C.UTF-8"
_LINE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^\n\0]*", re.ASCII)
_LARGEST = 64 * 1024


def path(suite: str) -> Path:
    """Return the file of a suite's environment."""
    return nights() / suite / "environment"


def pinned(now: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a night needs, of the one that its installer has."""
    kept = {name: now[name] for name in KEPT if now.get(name)}
    return {
        **kept,
        **_rootless(now),
        "BENCHDOCK_HOME": str(home()),
        "LANG": _LANGUAGE,
        "PATH": os.pathsep.join(_folders(now)),
    }


def _folders(now: Mapping[str, str]) -> list[str]:
    """Return the folders of PATH that exist, with that of nvidia-smi, and the system's."""
    told = [one for one in now.get("PATH", "").split(os.pathsep) if os.path.isabs(one)]
    driver = shutil.which("nvidia-smi", path=now.get("PATH"))
    every = (*told, *([os.path.dirname(driver)] if driver else ()), *_FOLDERS)
    return list(dict.fromkeys(one for one in every if os.path.isdir(one)))


def _rootless(now: Mapping[str, str]) -> dict[str, str]:
    """Name the socket of a rootless engine, which is found by a variable that cron does not set."""
    socket = Path(now.get("XDG_RUNTIME_DIR", "")) / "docker.sock"
    if now.get("DOCKER_HOST") or not now.get("XDG_RUNTIME_DIR") or not socket.exists():
        return {}
    return {"DOCKER_HOST": f"unix://{socket}"}


def write(suite: str, told: Mapping[str, str]) -> Path:
    """Write the file, only for its owner. Raises MachineError, RequestError for a line break."""
    file = path(suite)
    lines = [f"{name}={value}" for name, value in sorted(told.items())]
    for name, line in zip(sorted(told), lines, strict=True):
        if not _LINE.fullmatch(line):
            raise RequestError(f"{name} contains a line break", hint=f"unset {name}, then repeat")
    head = "# The environment of `benchdock nightly run`, written by `benchdock nightly install`.\n"
    before = os.umask(0o077)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_aside(file, head + "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise MachineError(
            f"cannot write {file}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
        ) from None
    finally:
        os.umask(before)
    return file


def read(file: Path) -> dict[str, str]:
    """Read such a file. Raises RequestError that does not show its values."""
    text = read_given(file, _LARGEST).decode("utf-8", "surrogateescape")
    found = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not _LINE.fullmatch(line):
            raise RequestError(f"{file}:{number}: this is not of the form NAME=VALUE")
        name, _, value = line.partition("=")
        found[name] = value
    return found


def apply(file: Path) -> None:
    """Set the variables of a file in this process. Raises RequestError."""
    os.environ.update(read(file))
