"""An ordinary user with a podman of its own, also if the tests run as root."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.paths import PROJECT

# A machine without systemd or with a mix of cgroup versions needs these; others have the same.
SETTINGS = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
[containers]
default_ulimits = []
"""
INTERPRETERS = (sys.executable, "/usr/bin/python3")


class NotHereError(Exception):
    """What rootless podman lacks on this machine, in a sentence."""


class Account:
    """A user; commands run as that user, in a clean environment."""

    def __init__(self, uid: int, gid: int, folder: Path) -> None:
        self._ids: dict[str, Any] = {}
        if uid != os.geteuid():
            self._ids = {"user": uid, "group": gid, "extra_groups": []}
        self.uid = uid
        self.folder = folder
        self.home = folder / "benchdock"
        runtime = "runc" if shutil.which("runc") else "crun"
        settings = folder / "containers.conf"
        settings.write_text(SETTINGS.format(runtime=runtime))
        run = folder / "run"
        run.mkdir(mode=0o700)
        for path in (folder, settings, run):
            os.chown(path, uid, gid)
        # Not of this process: pytest's own would enter.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(run),
            "CONTAINERS_CONF": str(settings),
            "BENCHDOCK_HOME": str(self.home),
            "DOCKER_HOST": f"unix://{folder}/no.sock",
            "PYTHONPATH": f"{PROJECT}:{sysconfig.get_paths()['purelib']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.python = self._interpreter()

    def _interpreter(self) -> str:
        for name in INTERPRETERS:
            done = self.run(name, "-c", "import pydantic_core, orchestrator.cli")
            if done.returncode == 0:
                return name
        raise NotHereError("no Python of this machine runs benchdock as another user")

    def start(self, *argv: str, **popen: Any) -> subprocess.Popen[str]:
        """Start a command as the user."""
        try:
            return subprocess.Popen(
                argv,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                **self._ids,
                **popen,
            )
        except OSError as error:  # an interpreter in root's home
            return subprocess.Popen(
                ["sh", "-c", f"echo {error.strerror} >&2; exit 126"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self, *argv: str, patience: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command as the user to its end."""
        process = self.start(*argv)
        out, err = process.communicate(timeout=patience)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def podman(self, *words: str) -> str:
        """Run podman and return what it printed."""
        done = self.run("podman", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def account() -> Iterator[Account]:
    """Yield an account: the caller's, or a new one if that is root. Raises NotHereError."""
    for program in ("podman", "newuidmap"):
        if shutil.which(program) is None:
            raise NotHereError(f"rootless podman needs {program}")
    folder = Path(tempfile.mkdtemp(prefix="benchdock-podman-"))
    name = ""
    try:
        if os.geteuid():
            found = pwd.getpwuid(os.geteuid())
        else:
            name = f"bd{secrets.token_hex(4)}"
            found = _added(name, folder)
        user = Account(found.pw_uid, found.pw_gid, folder)
        done = user.run("podman", "info")
        if done.returncode:
            raise NotHereError(f"podman does not work here: {done.stderr.strip()[-200:]}")
        yield user
        user.run("podman", "system", "reset", "--force")
    finally:
        if name:
            subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _added(name: str, folder: Path) -> pwd.struct_passwd:
    """Add a user with subordinate ids, which `useradd` chooses."""
    subprocess.run(
        ["useradd", "--home-dir", str(folder), "--no-create-home", "--shell", "/bin/sh", name],
        check=True,
        capture_output=True,
    )
    if name not in Path("/etc/subuid").read_text():
        start = 0x20000000
        ids = f"{start}-{start + 65535}"
        subprocess.run(["usermod", "--add-subuids", ids, "--add-subgids", ids, name], check=True)
    return pwd.getpwnam(name)
