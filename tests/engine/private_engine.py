"""A private Docker engine, which tests may kill and restart. Root only.

It has its own network namespace: a second dockerd with `--bridge none` beside another one deletes
that one's bridge. A fake nvidia-container-runtime-hook is first on its PATH, so it accepts
requests for GPUs and sets NVIDIA_VISIBLE_DEVICES; no GPU is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT = 60  # s; after a crash dockerd first ends the old containers, which takes 10
STOP_TIMEOUT = 30

# Without `ip` the loopback stays down, which no test here needs.
COMMAND = 'ip link set lo up 2>/dev/null; exec dockerd "$@"'


def missing() -> str:
    """Return what this machine lacks for an engine of our own, empty if nothing."""
    if os.geteuid() != 0:
        return "a private engine needs root"
    programs = [p for p in ("dockerd", "unshare", "containerd") if not shutil.which(p)]
    return f"a private engine needs {', '.join(programs)}" if programs else ""


class PrivateEngine:
    """One engine below an empty `folder`, which is removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"unix://{self._socket}"
        programs = folder / "bin"
        programs.mkdir()
        hook = programs / "nvidia-container-runtime-hook"
        hook.write_text("#!/bin/sh\nexit 0\n")
        hook.chmod(0o755)
        self._configuration = folder / "daemon.json"
        self._configuration.write_text(json.dumps({"runtimes": {"nvidia": {"path": "runc"}}}))
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin"}

    def up(self, *options: str) -> None:
        """Start it and wait until it answers."""
        self._forget_dead()
        folder = self._folder
        arguments = {
            "data-root": folder / "data",
            "exec-root": folder / "exec",
            "pidfile": folder / "docker.pid",
            "host": self.address,
            "config-file": self._configuration,
            "bridge": "none",
            "iptables": "false",
        }
        with (folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", COMMAND, "dockerd"]
                + [f"--{name}={value}" for name, value in arguments.items()]
                + list(options),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer()

    def kill(self) -> None:
        """End it by SIGKILL; its containers live on."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """End it by SIGTERM; its containers live on with --live-restore only."""
        self._end(signal.SIGTERM)

    def down(self) -> None:
        """End it with all that it started, and remove its files."""
        self.terminate()
        for pid in self._descendants():
            _signal(pid, signal.SIGKILL)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._descendants() and time.monotonic() < deadline:
            time.sleep(0.1)
        for mount in sorted(self._mounts(), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self._folder)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        log = (self._folder / "dockerd.log").read_text(errors="replace").splitlines()
        raise RuntimeError("the private engine did not come up:\n" + "\n".join(log[-5:]))

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                return b"200 OK" in connection.recv(100)
            except OSError:
                return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(STOP_TIMEOUT)
        self._process = None

    def _forget_dead(self) -> None:
        """Remove files that name ended processes: dockerd takes a zombie for alive."""
        for file in ("docker.pid", "exec/containerd/containerd.pid"):
            path = self._folder / file
            if path.exists() and _state(int(path.read_text() or 0)) in {"", "Z"}:
                path.unlink()

    def _descendants(self) -> list[int]:
        """Return containerd, the shims and their children, which outlive a killed dockerd."""
        mark = str(self._folder / "exec")
        alive = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal()]
        ours = {pid for pid in alive if mark in _read(pid, "cmdline")}
        children = {pid for pid in alive if _parent(pid) in ours}
        return [pid for pid in ours | children if _state(pid) not in {"", "Z"}]

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        points = [line.split()[1] for line in lines]
        return [point for point in points if point.startswith(f"{self._folder}/")]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return ""


def _state(pid: int) -> str:
    return next(iter(_read(pid, "stat").rpartition(")")[2].split()), "")


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0
