"""slurmdbd and a MariaDB of its own for a cluster of virtual nodes, so that `sacct` works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb")
_CONF = """\
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={root}/log/slurmdbd.log
PidFile={root}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
# With a database, slurmctld takes munge's socket from the pass, not from AuthInfo.
_USED = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={root}/run/munge.sock
AccountingStorageTRES=gres/gpu
"""
_USER = (
    "create database slurm_acct_db; create user 'slurm'@'localhost' identified by 'slurm'; "
    "grant all on slurm_acct_db.* to 'slurm'@'localhost'"
)
Daemon = Callable[..., "subprocess.Popen[bytes]"]
WaitFor = Callable[[Callable[[], object]], None]


def missing() -> str:
    """Return what is missing on this machine, "" if nothing is."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"needs {lacking[0]}: apt-get install slurmdbd mariadb-server" if lacking else ""


class Accounting:
    """The two services below the folder of a cluster."""

    def __init__(self, root: Path, host: str, port: int) -> None:
        self._root, self._host, self.port = root, host, port
        self._folder = root / "db"
        self._socket = self._folder / "sock"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def lines(self) -> str:
        """Return the lines of slurm.conf that use it."""
        return _USED.format(root=self._root, port=self.port)

    def start(self, daemon: Daemon, wait_for: WaitFor, environment: Mapping[str, str]) -> None:
        """Start both, munged first. Raises AssertionError."""
        self._folder.mkdir()
        data = f"--datadir={self._folder}/data"
        install = ("mariadb-install-db", "--user=root", data, "--skip-test-db")
        subprocess.run(
            (*install, "--auth-root-authentication-method=normal"),
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        server = ("mariadbd", "--no-defaults", "--user=root", data, f"--socket={self._socket}")
        self._processes.append(daemon(*server, "--skip-networking", log="mariadbd.out"))
        client = ("mariadb", "--no-defaults", "-uroot", f"--socket={self._socket}", "-e")

        def asked(query: str) -> bool:
            return not subprocess.run(
                (*client, query), env=environment, check=False, capture_output=True
            ).returncode

        wait_for(lambda: asked("select 1"))
        assert asked(_USER)
        conf = self._root / "etc/slurmdbd.conf"
        conf.write_text(_CONF.format(root=self._root, host=self._host, port=self.port))
        conf.chmod(0o600)
        # libmariadb finds the socket of "localhost" there.
        told = ("env", f"MYSQL_UNIX_PORT={self._socket}", "slurmdbd", "-D")
        self._processes.append(daemon(*told, log="slurmdbd.out"))

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
