from __future__ import annotations

import errno
import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator import installation, paths
from orchestrator.errors import ExitStatus

PIP = f"{sys.executable} -m pip install --force-reinstall"


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend to be a wheel in the environment that is returned."""
    (tmp_path / "_shipped").mkdir()
    monkeypatch.setattr(installation, "SHIPPED", str(tmp_path / "_shipped"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def installed_from(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    monkeypatch.setattr(
        metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: told)
    )


def test_this_checkout_is_whole() -> None:
    assert not installation.from_wheel()
    assert installation.missing() == []
    assert installation.commit() is None


def test_a_checkout_without_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "LAUNCHERS", tmp_path)
    lost = installation.missing()
    assert lost == [tmp_path / "_base.sh.j2"]
    restore = f"git -C {paths.PROJECT} restore -- {tmp_path}/_base.sh.j2"
    assert installation.repair(lost) == restore
    assert installation.repair() == f"make -C {paths.PROJECT} clean setup"


@pytest.mark.parametrize(
    ("mark", "command"),
    [
        ("uv-receipt.toml", "uv tool upgrade --reinstall"),
        ("pipx_metadata.json", "pipx reinstall"),
    ],
)
def test_the_installing_tool_repairs_it(wheel: Path, mark: str, command: str) -> None:
    (wheel / mark).touch()
    assert installation.repair([wheel / "x"]) == f"{command} {wheel.name}"


@pytest.mark.parametrize(
    ("told", "requirement"),
    [
        (None, "benchdock"),
        ("[]", "benchdock"),
        ('{"url": "file:///a%20b/x.whl", "archive_info": {}}', "file:///a%20b/x.whl"),
        (
            json.dumps({"url": "https://x/b.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}),
            "git+https://x/b.git@12ab",
        ),
    ],
)
def test_pip_repairs_it_from_where_it_came(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, requirement: str
) -> None:
    installed_from(monkeypatch, told)
    assert installation.repair() == f"{PIP} {requirement}"


def test_a_lost_file_or_module_is_a_broken_installation() -> None:
    lost = paths.DOCKERFILES / "pytorch-cpu" / "Dockerfile"
    for error in (FileNotFoundError(errno.ENOENT, "No such file", str(lost)),
                  FileNotFoundError(errno.ENOENT, "No such file", lost)):  # fmt: skip
        fault = installation.fault(error)
        assert fault is not None
        assert fault.exit_status is ExitStatus.MACHINE_CANNOT
        assert str(lost) in fault.what
        assert "restore" in fault.hint
    module = installation.fault(ModuleNotFoundError("No module named 'docker'", name="docker"))
    assert module is not None
    assert module.what == "the benchdock installation has no Python module docker"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "/data/x.npz"),
        FileNotFoundError(errno.ENOENT, "No such file", 3),
        FileNotFoundError("no name"),
        FileNotFoundError(errno.ENOENT, "No such file", str(paths.PROJECT / "x.npz")),
        PermissionError(errno.EACCES, "Permission denied", str(paths.LAUNCHERS / "_base.sh.j2")),
        ImportError("cannot import name 'x'"),
        ValueError("x"),
    ],
)
def test_anything_else_is_not(error: Exception) -> None:
    assert installation.fault(error) is None
