"""A private PostgreSQL for tests: a server of our own, reached only by a socket in its folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

USER = "benchdock"


def programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`; Debian has it outside of PATH."""
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return debian[-1].parent if debian else None


@contextmanager
def server(folder_of_programs: Path) -> Iterator[str]:
    """Yield the URL, without a database, of a server that is stopped and removed afterwards."""
    # A socket's path may have 107 characters only, so it is not in pytest's folder.
    with tempfile.TemporaryDirectory(prefix="bd-pg-", dir="/tmp") as name:
        root = Path(name)
        as_whom = _other_user(root)
        data = root / "data"

        initdb = (str(folder_of_programs / "initdb"), "--auth=trust", f"--username={USER}")
        _run(root, [*as_whom, *initdb, "--no-sync", f"--pgdata={data}"])
        control(folder_of_programs, root, "start")
        try:
            yield f"postgresql://{USER}@/{{}}?host={root}"
        finally:
            control(folder_of_programs, root, "stop")


def control(folder_of_programs: Path, root: Path, action: Literal["start", "stop"]) -> None:
    """Start the server of a folder, or stop it at once, without a farewell to its clients."""
    data = root / "data"
    if action == "stop" and not (data / "postmaster.pid").exists():
        return
    how = {
        "start": (
            f"--log={root / 'server.log'}",
            f"--options=-c listen_addresses= -c unix_socket_directories={root}",
        ),
        "stop": ("-m", "immediate"),
    }
    argv = [str(folder_of_programs / "pg_ctl"), action, "-w", f"--pgdata={data}", *how[action]]
    _run(root, [*_other_user(root), *argv])


def _run(root: Path, argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stdout}{done.stderr}")


def _other_user(root: Path) -> list[str]:
    """Give the folder to another user, because PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(root, entry.pw_uid, entry.pw_gid)
        words = (f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
        return ["setpriv", *words, "--"]
    raise RuntimeError("no user named postgres or nobody")
