"""Packs interpreters of this machine into base images, because Debian has no old ones."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.errors import MachineError

# One that fails is a shim of pyenv for an inactive version. Python 2.7 can run this script too.
_PROBE = """
import json, os, sys, sysconfig
print(json.dumps(["%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable),
                  sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]))
"""
_PROBE_SECONDS = 20

_PREFIX = "usr/local"
# Read after Debian's file (ldconfig reads files by name), so that the image's libraries win.
_LIBRARIES = f"{_PREFIX}/lib/interpreter"
_LDCONFIG = "etc/ld.so.conf.d/zz-interpreter.conf"
# Taken from the image: glibc's parts only fit each other.
_GLIBC = re.compile(r"(ld-linux.*|lib(anl|c|dl|m|mvec|nsl|pthread|resolv|rt|util))\.so\.[0-9]")
# Installed packages, tests, and Tk, whose libraries need those of X.
_FOLDERS = frozenset({
    "dist-packages", "ensurepip", "idlelib", "site-packages", "test", "tests", "tkinter", "lib-tk",
    "turtledemo",
})  # fmt: skip
_FILES = re.compile(r"_tkinter.*|.*\.a|.*\.opt-[12]\.pyc|.*\.pyo")


class NoInterpreterError(MachineError):
    """This machine does not have the Python version that a base image needs."""


@dataclass(frozen=True, kw_only=True)
class BaseInterpreter:
    """A Python of this machine: its program and the folders of its standard library."""

    version: str
    executable: Path
    library: Path
    extensions: Path


def find(version: str) -> BaseInterpreter | None:
    """Return this machine's Python of a minor version such as "3.7": from PATH, else pyenv's."""
    for candidate in _candidates(version):
        if (found := _probed(candidate, version)) is not None:
            return found
    return None


def lack(version: str) -> str:
    """Say that `find` found nothing."""
    return f"this machine has no Python {version} (python{version} on PATH, or pyenv's)"


def remedy(version: str) -> str:
    """Return the command that installs what `find` looks for."""
    return f"pyenv install {version}"


def _candidates(version: str) -> Iterator[Path]:
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = root.glob(f"versions/{version}.*/bin/python{version}")
    yield from sorted(installed, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))],
                      reverse=True)  # fmt: skip


def _probed(candidate: Path, version: str) -> BaseInterpreter | None:
    try:
        done = subprocess.run(
            [str(candidate), "-c", _PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_SECONDS,
            env={name: value for name, value in os.environ.items() if name != "PYTHONHOME"},
        )
        told, executable, library, extensions = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if told != version:
        return None
    return BaseInterpreter(
        version=version,
        executable=Path(executable),
        library=Path(library),
        extensions=Path(extensions) / "lib-dynload",
    )


def pack(interpreter: BaseInterpreter, archive: Path) -> None:
    """Write a tar file of an interpreter and its shared libraries, to be unpacked at the root.

    It is installed under /usr/local, as in Docker's official images, without packages and tests.
    Raises MachineError if this machine cannot list the libraries of a program.
    """
    version = interpreter.version
    with tarfile.open(archive, "w", dereference=True) as tar:
        _add(tar, interpreter.executable, f"{_PREFIX}/bin/python{version}")
        for name in ("python", f"python{version[0]}"):
            _add_link(tar, f"{_PREFIX}/bin/{name}", f"python{version}")
        _add_folder(tar, f"{_PREFIX}/lib/python{version}/site-packages")
        for path in _library_files(interpreter.library):
            inside = path.relative_to(interpreter.library)
            _add(tar, path, f"{_PREFIX}/lib/python{version}/{inside}")
        for name, path in sorted(_shared_libraries(interpreter).items()):
            _add(tar, path, f"{_LIBRARIES}/{name}")
        _add_text(tar, _LDCONFIG, f"/{_LIBRARIES}\n")


def _library_files(library: Path) -> Iterator[Path]:
    for path in sorted(library.rglob("*")):
        inside = path.relative_to(library)
        left_out = _FOLDERS.intersection(inside.parts) or _FILES.fullmatch(path.name)
        if path.is_file() and not left_out:
            yield path


def _shared_libraries(interpreter: BaseInterpreter) -> dict[str, Path]:
    """Return the libraries of the program and its extensions, by the name they are linked under."""
    extensions = [
        path for path in interpreter.extensions.glob("*.so") if not _FILES.fullmatch(path.name)
    ]
    try:
        listed = subprocess.run(
            ["ldd", str(interpreter.executable), *map(str, sorted(extensions))],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError as error:
        raise MachineError(
            f"cannot list the libraries of {interpreter.executable}: {error}"
        ) from None
    found = re.findall(r"^\s+(\S+) => (/\S+)", listed, re.MULTILINE)
    return {name: Path(path) for name, path in found if not _GLIBC.fullmatch(name)}


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file that belongs to root and everybody may read, whatever this user's umask is."""
    info = tar.gettarinfo(str(path), arcname=name)
    info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    with path.open("rb") as stream:
        _put(tar, info, 0o755 if info.mode & 0o100 else 0o644, stream)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    _put(tar, info, 0o777)


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    _put(tar, info, 0o755)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    _put(tar, info, 0o644, io.BytesIO(text.encode()))


def _put(
    tar: tarfile.TarFile, info: tarfile.TarInfo, mode: int, stream: IO[bytes] | None = None
) -> None:
    info.mode, info.uid, info.gid, info.uname, info.gname = mode, 0, 0, "root", "root"
    tar.addfile(info, stream)
