"""The files of this installation: which are missing, and the command that restores them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator import SHIPPED, paths
from orchestrator.errors import MachineError

DISTRIBUTION = "benchdock"
PACKAGE = Path(SHIPPED).parent


def from_wheel() -> bool:
    """Return whether this is an installed wheel rather than a checkout."""
    return Path(SHIPPED).is_dir() or not (PACKAGE.parent / "pyproject.toml").is_file()


def missing() -> list[Path]:
    """Return the missing files.

    An installer records every file of a wheel (RECORD in the packaging specifications). In a
    checkout only one file per folder is checked, since git knows the rest.
    """
    needed = [
        paths.BACKENDS / "__init__.py",
        paths.DOCKERFILES / "images.toml",
        paths.LAUNCHERS / "_base.sh.j2",
    ]
    if from_wheel():
        needed = _recorded() or needed
    return [path for path in needed if not path.is_file()]


def _recorded() -> list[Path]:
    """Return each file of the package that the installer recorded."""
    from importlib import metadata

    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    # Python makes the bytecode, and caches may be cleared.
    found = [Path(str(one.locate())) for one in files if one.suffix != ".pyc"]
    return [path for path in found if path.is_relative_to(PACKAGE)]


def source() -> dict[str, Any]:
    """Return where this was installed from (direct_url.json of PEP 610); empty for an index."""
    from importlib import metadata

    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {}
    told = json.loads(text) if text else {}
    return told if isinstance(told, dict) else {}


def commit() -> str | None:
    """Return the commit of an installation from a repository; None for anything else."""
    found = source().get("vcs_info", {}).get("commit_id")
    return found if isinstance(found, str) else None


def repair(lost: Sequence[Path] = ()) -> str:
    """Return the command that repairs the installation."""
    if not from_wheel():
        if lost:
            return shlex.join(["git", "-C", str(paths.PROJECT), "restore", "--", *map(str, lost)])
        return f"make -C {shlex.quote(str(paths.PROJECT))} clean setup"
    environment = Path(sys.prefix)
    if (environment / "uv-receipt.toml").is_file():
        return f"uv tool upgrade --reinstall {environment.name}"
    if (environment / "pipx_metadata.json").is_file():
        return f"pipx reinstall {environment.name}"
    return shlex.join([sys.executable, "-m", "pip", "install", "--force-reinstall", _requirement()])


def extra(name: str) -> str:
    """Return the command that installs the packages of one of our extras."""
    if not from_wheel():
        python, project = shlex.quote(sys.executable), f"{paths.PROJECT}[{name}]"
        return f"{python} -m pip install --editable {shlex.quote(project)}"
    environment = Path(sys.prefix)
    requirement = _requirement()
    wanted = f"{DISTRIBUTION}[{name}]" + (
        "" if requirement == DISTRIBUTION else f" @ {requirement}"
    )
    if (environment / "uv-receipt.toml").is_file():
        return shlex.join(["uv", "tool", "install", "--force", wanted])
    if (environment / "pipx_metadata.json").is_file():
        return shlex.join(["pipx", "install", "--force", wanted])
    return shlex.join([sys.executable, "-m", "pip", "install", wanted])


def _requirement() -> str:
    """Return the requirement that pip would install this from."""
    told = source()
    if "url" not in told:
        return DISTRIBUTION
    if "vcs_info" not in told:
        return str(told["url"])
    return f"{told['vcs_info']['vcs']}+{told['url']}@{told['vcs_info']['commit_id']}"


def fault(error: Exception) -> MachineError | None:
    """Return the error for a missing module or file of the installation, None for anything else."""
    if isinstance(error, ModuleNotFoundError):
        return _incomplete(f"Python module {error.name}", repair())
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str | Path):
        path = Path(error.filename)
        folders = (PACKAGE, paths.BACKENDS, paths.DOCKERFILES, paths.LAUNCHERS)
        if any(path.is_relative_to(folder) for folder in folders):
            return without(path)
    return None


def without(path: Path) -> MachineError:
    """Return the error for a missing file of the installation."""
    return _incomplete(str(path), repair([path]))


def _incomplete(what: str, command: str) -> MachineError:
    return MachineError(
        f"the benchdock installation has no {what}", hint=f"run `{command}` to fix it"
    )
