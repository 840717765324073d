"""Looks at a Python of the user's by starting it: its version, its packages, and the framework's.

It is started in the environment that a program gets on the host, so what it can import here a run
can import too. Nothing is installed in it or changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.errors import MachineError, RequestError
from orchestrator.plan import Interpreter
from orchestrator.runtimes.host import handed_on

# Paths of the interpreter in the folder of an environment; an installation may have only the last.
PROGRAMS = ("bin/python", "bin/python3")
# The first import of a framework from a cluster's shared disk can take minutes.
PATIENCE = 180.0
# Of our programs that run there.
OLDEST = (3, 5)
_LONGEST = 200
_USE = "use an interpreter, or the folder of a virtual or conda environment"

# Python 2.7 can run this too. It answers in a file, because packages print what they like; first
# with its version, in case the import ends it. Any package may fail to import with any exception.
_PROBE = r"""
import sys
sys.path = [folder for folder in sys.path if folder]
import importlib, io, json, os

def tell(**facts):
    with io.open(sys.argv[1], "wb") as answer:
        answer.write(json.dumps(facts).encode("ascii"))

def described(path):
    found = {}
    with io.open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, colon, text = line.partition(":")
            if not colon:
                break
            found.setdefault(key, text.strip())
    return [found.get("Name", ""), found.get("Version", "")]

def installed():
    for folder in sys.path:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) or name == "EGG-INFO":
                top = os.path.join(folder, name)
                for path in (os.path.join(top, "METADATA"), os.path.join(top, "PKG-INFO"), top):
                    if os.path.isfile(path):
                        yield described(path)
                        break

version = list(sys.version_info[:3])
tell(version=version)
missing, problem, told = False, "", ""
packages = list(installed())
try:
    module = importlib.import_module(sys.argv[2])
    missing = getattr(module, "__file__", None) is None
    told = str(getattr(module, "__version__", ""))
except ImportError as error:
    text = str(error)
    missing = text.replace("'", "") == "No module named " + sys.argv[2]
    problem = type(error).__name__ + ": " + text
except Exception as error:
    problem = type(error).__name__ + ": " + str(error)
tell(version=version, packages=packages, told=told, missing=missing, problem=problem)
"""


def look(
    python: Path, package: str, variables: Mapping[str, str], *, ours: bool = True
) -> Interpreter:
    """Look at an interpreter, or at that of an environment's folder.

    `package` is what must be importable under these variables; `ours` whether one of our programs
    will run in it. Raises RequestError if it cannot be used, MachineError if it does not answer.
    """
    program = find(python)
    told = _answer(python, program, package, variables)
    version = ".".join(map(str, told["version"]))
    if ours and tuple(told["version"]) < OLDEST:
        raise RequestError(
            f"--python {python} is Python {version}, and the programs of benchdock need "
            f"{'.'.join(map(str, OLDEST))}",
            hint="use a newer one",
        )
    if told["missing"]:
        raise RequestError(
            f"--python {python} does not have the package {package}",
            hint=_where(package, variables),
        )
    if told["problem"]:
        raise RequestError(
            f"--python {python} cannot import {package}: {_line(told['problem'])}",
            hint=f"use one in which `import {package}` works",
        )
    packages = _by_name(told["packages"])
    return Interpreter(
        path=program,
        version=version,
        package=package,
        package_version=told["told"] or packages.get(package, ""),
        packages=len(packages),
        digest=_digest(packages),
    )


def find(python: Path) -> Path:
    """Return the interpreter's path, which is absolute but may be a link. Raises RequestError.

    A virtual environment is found by the path of the link in it, so the link is not followed.
    """
    path = python.absolute()
    try:
        path.stat()
    except OSError as error:
        raise RequestError(f"--python {python}: {error.strerror}", hint=_USE) from None
    if not path.is_dir():
        return path
    for name in PROGRAMS:
        if os.access(path / name, os.X_OK):
            return path / name
    raise RequestError(f"--python {python} is a folder without {PROGRAMS[0]}", hint=_USE)


def _answer(
    python: Path, program: Path, package: str, variables: Mapping[str, str]
) -> dict[str, Any]:
    """Start the interpreter and return what it says about itself."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/errors", "w+b") as errors:
        answer = Path(folder) / "answer"
        try:
            process = subprocess.Popen(
                [program, "-c", _PROBE, answer, package],
                cwd="/",
                # No GPU: an import that starts the driver would take seconds more.
                env={**handed_on.variables(), **variables, "CUDA_VISIBLE_DEVICES": ""},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_python(python, error.strerror or str(error)) from None
        status = _ended(process, python, package)
        errors.seek(0)
        said = _line(errors.read()[-_LONGEST * 4 :].decode("utf-8", "replace"))
        try:
            told = json.loads(answer.read_bytes())
        except (OSError, ValueError):
            raise _not_python(python, said or _how(status)) from None
        if "packages" not in told:
            _refuse_import(python, package, said or _how(status))
        return dict(told)


def _ended(process: subprocess.Popen[bytes], python: Path, package: str) -> int:
    """Wait for the interpreter and return its status; kill all it has started if it is late."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"--python {python} did not import {package} within {PATIENCE:.0f} s",
            hint="try again: files on a shared disk are read faster the second time",
        ) from None
    finally:
        # What a wrapper script has left behind, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _refuse_import(python: Path, package: str, how: str) -> NoReturn:
    raise RequestError(
        f"--python {python} cannot import {package}: {how}",
        hint=f"use one in which `import {package}` works",
    )


def _not_python(python: Path, why: str) -> RequestError:
    return RequestError(f"--python {python} is not a Python that starts: {why}", hint=_USE)


def _how(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"it ended with status {status}"


def _line(text: str) -> str:
    """Return the last line that says something, as printable text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return "".join(c if c.isprintable() else "?" for c in lines[-1])[:_LONGEST]


def _where(package: str, variables: Mapping[str, str]) -> str:
    """Say what to do about a missing package; a cluster's module often finds it by a variable."""
    if "PYTHONPATH" in os.environ and "PYTHONPATH" not in variables:
        return 'add --env PYTHONPATH="$PYTHONPATH" if it is there: programs do not inherit it'
    return f"use one in which `import {package}` works"


def _by_name(listed: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return versions by normalized name (PEP 503); the first on the path is what is imported."""
    found: dict[str, str] = {}
    for name, version in listed:
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def _digest(packages: Mapping[str, str]) -> str:
    text = "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))
    return hashlib.sha256(text.encode()).hexdigest()
