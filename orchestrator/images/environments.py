"""The host runtime's virtual environments, built from the same pins as the CPU images."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import file_lock, paths
from orchestrator.errors import ImageError, MachineError
from orchestrator.images import wheelhouse
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.runtimes.host import host_pip
from orchestrator.runtimes.host.host_pip import OnLine

# Written last: an environment without it is incomplete. A virtual environment contains its own
# path, so it cannot be built elsewhere and renamed.
MARKER = ".benchdock-complete"


@dataclass(frozen=True, kw_only=True)
class HostEnvironment:
    """A virtual environment with an image's Python packages."""

    root: Path
    python: Path
    made: bool


def folder(image: Image, table: ImageTable) -> Path:
    """Return the folder of an image's environment for this Python and these pins."""
    parts = (
        *(lock.read_text(encoding="utf-8") for lock in table.lock_files(image)),
        sys.version,
        sysconfig.get_platform(),
        sys.base_prefix,
    )
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return paths.virtual_environments() / f"{image.id}-{digest[:12]}"


def check(image: Image) -> None:
    """Raise ImageError for an image that pip cannot install on the host."""
    if image.source != "build":
        why = "is a vendor's image"
    elif image.packages:
        why = "is made of Debian's packages"
    elif image.container_only:
        why = f"needs its own build ({image.container_only})"
    else:
        return
    raise ImageError(
        f"{image.id} {why} and cannot run without a container engine",
        hint="start an engine (see `benchdock doctor`)",
    )


def existing(image: Image, table: ImageTable) -> HostEnvironment | None:
    """Return an image's environment if it is complete."""
    root = folder(image, table)
    python = root / "bin" / "python"
    if (root / MARKER).exists() and python.exists():
        return HostEnvironment(root=root, python=python, made=False)
    return None


def ensure(
    image: Image, table: ImageTable, on_line: OnLine, *, pip: Sequence[str] | None = None
) -> HostEnvironment:
    """Return an image's environment on the host; build it if it is missing or incomplete.

    Uses the wheels of the wheelhouse if they fit this Python, else the host's indexes. Raises
    ImageError, or MachineError if this Python cannot make environments.
    """
    check(image)
    if found := existing(image, table):
        return found
    root = folder(image, table)

    def say_waiting() -> None:
        on_line(f"waiting for another process that builds {root}")

    with file_lock.held(root.with_name(f".{root.name}.lock"), on_wait=say_waiting):
        if found := existing(image, table):
            return found
        on_line(f"building the virtual environment of {image.framework} {image.version} in {root}")
        try:
            _make(root, image, table, on_line, pip=pip)
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise
    return HostEnvironment(root=root, python=root / "bin" / "python", made=True)


def _make(
    root: Path,
    image: Image,
    table: ImageTable,
    on_line: OnLine,
    *,
    pip: Sequence[str] | None,
) -> None:
    shutil.rmtree(root, ignore_errors=True)
    # Without pip in it: Debian's Python can make that even if python3-venv is missing, and the
    # host's pip installs into it.
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        said = (made.stderr or made.stdout).strip().splitlines() or ["no message"]
        raise MachineError(
            f"{sys.executable} cannot make a virtual environment in {root}: {said[-1]}",
            details=tuple(said),
        )
    python = root / "bin" / "python"
    parent = (table.images[image.parent],) if image.parent else ()
    for each in (*parent, image):
        _install(python, each, table, on_line, pip=pip)
    (root / MARKER).touch()


def _install(
    python: Path,
    image: Image,
    table: ImageTable,
    on_line: OnLine,
    *,
    pip: Sequence[str] | None,
) -> None:
    # The lock file names every package; it may leave out dependencies that are never imported.
    install = ["--python", str(python), "install", "--no-deps", "--requirement"]
    install.append(str(image.lock_file))
    if _wheels_fit(image, table):
        house = paths.wheelhouse(image.id)
        on_line(f"installing the wheels of {house}")
        host_pip.run([*install, "--no-index", "--find-links", str(house)], on_line, pip=pip)
    else:
        wheelhouse.with_fallback(install, image, on_line, offline=False, pip=pip)


def _wheels_fit(image: Image, table: ImageTable) -> bool:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return here == image.python and wheelhouse.defect(image, table) is None
