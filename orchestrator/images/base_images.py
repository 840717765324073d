"""Builds base images from Debian's packages, for use without a registry.

A base with a Python that Debian does not package is another base image with this machine's Python.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator import paths
from orchestrator.errors import ImageError, MachineError
from orchestrator.images import interpreters
from orchestrator.images.contract import BuildingEngine
from orchestrator.images.image_table import BaseImage, ImageTable
from orchestrator.images.interpreters import BaseInterpreter, NoInterpreterError
from orchestrator.runtimes.host.host_pip import KEPT_LINES, OnLine

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo

BOOTSTRAPPED = "benchdock.bootstrapped"
_DOCKERFILE = "interpreter.Dockerfile"

# With Python and the CA certificates in it, a build on this base needs no network.
_PACKAGES = "ca-certificates,python3"
# Files that Debian's slim images leave out too.
_SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)


class ImportingEngine(BuildingEngine, Protocol):
    """The part of a container engine that a bootstrap needs."""

    def import_image(self, archive: Path, tag: str, *, changes: tuple[str, ...] = ()) -> ImageInfo:
        """Make an image from a tar file of a root file system; `changes` are Dockerfile lines."""


def bootstrap(
    base: BaseImage,
    table: ImageTable,
    engine: ImportingEngine,
    on_line: OnLine,
    *,
    force: bool = False,
    mirror: str = "",
) -> Literal["found", "made"]:
    """Make a base image under its public name, unless the engine has it already.

    `mirror` is the URL of your Debian mirror. Takes about half a minute and a network. Raises
    NoInterpreterError if the base needs a Python that this machine lacks, MachineError if
    mmdebstrap is missing, ImageError if it or a build fails.
    """
    if engine.image(base.name) is not None and not force:
        on_line(f"{base.name} is here already")
        return "found"
    paths.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".base-", dir=paths.home()) as folder:
        if base.parent:
            interpreter = _interpreter(base)
            bootstrap(table.bases[base.parent], table, engine, on_line, mirror=mirror)
            _add_interpreter(base, interpreter, engine, on_line, Path(folder))
        else:
            _import_debian(base, engine, on_line, Path(folder), mirror=mirror)
    return "made"


def _interpreter(base: BaseImage) -> BaseInterpreter:
    found = interpreters.find(base.python)
    if found is None:
        raise NoInterpreterError(
            f"{base.name} cannot be built: {interpreters.lack(base.python)}",
            hint=f"run `{interpreters.remedy(base.python)}`",
        )
    return found


def _import_debian(
    base: BaseImage, engine: ImportingEngine, on_line: OnLine, folder: Path, *, mirror: str
) -> None:
    if shutil.which("mmdebstrap") is None:
        raise MachineError(
            "mmdebstrap, which builds base images, is not installed",
            hint="run `sudo apt-get install mmdebstrap`",
        )
    archive = folder / "base.tar"
    on_line(f"building {base.name} from Debian's packages ({base.suite})")
    _run(mmdebstrap(base.suite, archive, mirror=mirror), base.name, on_line)
    on_line(f"importing {base.name}")
    changes = (f"LABEL {BOOTSTRAPPED}=true", 'CMD ["bash"]')
    engine.import_image(archive, base.name, changes=changes)


def _add_interpreter(
    base: BaseImage,
    interpreter: BaseInterpreter,
    engine: ImportingEngine,
    on_line: OnLine,
    folder: Path,
) -> None:
    on_line(f"making {base.name} from {base.parent} and {interpreter.executable}")
    shutil.copy(paths.DOCKERFILES / _DOCKERFILE, folder / "Dockerfile")
    interpreters.pack(interpreter, folder / "interpreter.tar")
    engine.build(
        folder,
        tag=base.name,
        labels={BOOTSTRAPPED: "true"},
        buildargs={"BASE": base.parent, "PYTHON": base.python},
        network_mode="none",
        on_line=on_line,
    )


def mmdebstrap(suite: str, archive: Path, *, mirror: str = "") -> list[str]:
    """Return the command that writes a small root file system of a Debian suite."""
    options = [f"--dpkgopt={option}" for option in _SLIM]
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={_PACKAGES}",
        *options,
        suite,
        str(archive),
        *([mirror] if mirror else []),
    ]


def _run(argv: list[str], name: str, on_line: OnLine) -> None:
    last: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode:
        causes = [line for line in last if line.startswith("E:")]
        cause = (causes or list(last) or ["no message"])[-1]
        raise ImageError(
            f"mmdebstrap could not build {name}: {cause}",
            hint="check that this machine can reach a Debian mirror",
            details=tuple(last),
        )
