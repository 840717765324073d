"""A real Slurm cluster of virtual nodes on this machine, which tests may break.

All of it is below one folder: nothing in /etc or /var is touched, and no service manager is needed.
Every node has its own process, host name and mount namespace, whose first process is held here:
killing that is a power cut. The GPUs are links to /dev/null, which Slurm's gres accepts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.slurm_accounting import Accounting

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "unshare")
_SBIN = "/usr/sbin:/sbin"
_CONF = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.sock
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd-%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=2
SlurmctldTimeout=10
SlurmdTimeout={slurmd_timeout}
InactiveLimit=0
KillWait={kill_wait}
BatchStartTimeout=10
CompleteWait=0
MinJobAge={min_job_age}
MaxArraySize=1001
MaxJobCount=30000
JobRequeue=1
PropagateResourceLimits=NONE
{accounting}GresTypes=gpu
{nodes}
PartitionName=bench Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


_NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none\n"


def missing() -> str:
    """Return what a cluster lacks on this machine, "" if it can be started."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if lacking:
        return f"needs {lacking[0]}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "needs root: nodes are namespaces"


class SlurmCluster:
    """Nodes n1, n2, ... with GPUs; Slurm forgets ended tasks after `min_job_age` seconds.

    With `accounting`, `sacct` remembers them.
    """

    def __init__(
        self,
        root: Path,
        *,
        nodes: int = 3,
        gpus: int = 8,
        cpus: int = 32,
        min_job_age: int = 300,
        accounting: bool = False,
    ) -> None:
        self.root = root
        self.nodes = tuple(f"n{number + 1}" for number in range(nodes))
        self._gpus, self._cpus = gpus, cpus
        self._min_job_age = min_job_age
        self._port = _free_ports(nodes + 2)
        self._host = socket.gethostname().partition(".")[0]
        last = self._port + nodes + 1
        self._accounting = Accounting(root, self._host, last) if accounting else None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM")},
            "SLURM_CONF": str(root / "etc/slurm.conf"),
            "PATH": f"{os.environ.get('PATH', '')}:{_SBIN}",
        }
        self._controller: subprocess.Popen[bytes] | None = None
        self._hosts: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which Slurm's programs find this cluster."""
        return dict(self._environment)

    def start(self, *, slurmd_timeout: int = 5, kill_wait: int = 5) -> None:
        """Start it and wait until the nodes are idle. Raises AssertionError with the logs."""
        for name in ("etc", "log", "run", "state", "spool", "munge", "dev"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "munge").chmod(0o700)
        self._write_configuration(slurmd_timeout, kill_wait)
        key = self.root / "munge/key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        munged = ("munged", "--force", f"--key-file={key}", f"--socket={self.root}/run/munge.sock")
        files = {"pid": "run/munged.pid", "log": "log/munged.log", "seed": "munge/seed"}
        self.run(*munged, *(f"--{name}-file={self.root}/{path}" for name, path in files.items()))
        if (accounting := self._accounting) is not None:
            accounting.start(self._daemon, self.wait_for, self._environment)
            self.wait_for(lambda: _listens(accounting.port))
        self.start_controller()
        for node in self.nodes:
            self.up(node)
        self.wait_for(self._all_idle)

    def _write_configuration(self, slurmd_timeout: int, kill_wait: int) -> None:
        lines, gres = [], ["AutoDetect=off"]
        for number, node in enumerate(self.nodes, start=1):
            lines.append(
                f"NodeName={node} NodeHostname={self._host} NodeAddr=127.0.0.1 "
                f"Port={self._port + number} CPUs={self._cpus} RealMemory=4096 "
                f"Gres=gpu:fake:{self._gpus} State=UNKNOWN"
            )
            device = f"{self.root}/dev/{node}-gpu"
            for gpu in range(self._gpus):
                os.symlink("/dev/null", f"{device}{gpu}")
            # The number at the end becomes CUDA_VISIBLE_DEVICES.
            gres.append(f"NodeName={node} Name=gpu Type=fake File={device}[0-{self._gpus - 1}]")
        text = _CONF.format(
            host=self._host, port=self._port, user="root", root=self.root,
            nodes="\n".join(lines), slurmd_timeout=slurmd_timeout, kill_wait=kill_wait,
            min_job_age=self._min_job_age,
            accounting=self._accounting.lines if self._accounting else _NO_ACCOUNTING,
        )  # fmt: skip
        (self.root / "etc/slurm.conf").write_text(text)
        (self.root / "etc/gres.conf").write_text("\n".join(gres) + "\n")

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program with this cluster's environment; return what it printed."""
        done = subprocess.run(
            argv, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def start_controller(self) -> None:
        """Start the controller, with what its predecessor saved."""
        self._controller = self._daemon("slurmctld", "-D", log="slurmctld.out")
        self.wait_for(lambda: _listens(self._port))

    def kill_controller(self) -> None:
        """Kill it as a power cut of its machine does."""
        assert self._controller is not None
        self._controller.kill()
        self._controller.wait()

    def up(self, node: str) -> None:
        """Start a node."""
        (self.root / "spool" / node).mkdir(exist_ok=True)
        # `sleep` is the node's first process, so that slurmd can be killed and its tasks live on.
        script = (
            'hostname "$0"; mount --bind "$1" /etc/hosts; slurmd -D -N "$0" & exec sleep infinity'
        )
        # Nodes know each other's names.
        names = self.root / "hosts"
        names.write_text(f"127.0.0.1 localhost {self._host} {' '.join(self.nodes)}\n")
        spaces = ("--pid", "--uts", "--mount", "--mount-proc", "--fork", "--kill-child=SIGKILL")
        words = ("sh", "-c", script, node, str(names))
        self._hosts[node] = self._daemon("unshare", *spaces, *words, log=f"slurmd-{node}.out")

    def power_cut(self, node: str) -> None:
        """End everything on a node at once."""
        host = self._hosts.pop(node)
        host.kill()
        host.wait()
        port = self._port + 1 + self.nodes.index(node)
        self.wait_for(lambda: not _listens(port))

    def kill_slurmd(self, node: str) -> None:
        """Kill a node's slurmd; what runs there lives on."""
        (first,) = _children(self._hosts[node].pid)
        for pid in _children(first):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "slurmd":
                os.kill(pid, signal.SIGKILL)

    def start_slurmd(self, node: str) -> None:
        """Start slurmd again on a node that is up."""
        self._daemon(*self.inside(node, "slurmd", "-D", "-N", node), log=f"slurmd-{node}.out")

    def inside(self, node: str, *argv: str) -> tuple[str, ...]:
        """Return the words that run a program on a node."""
        (first,) = _children(self._hosts[node].pid)
        return ("nsenter", f"--target={first}", "--pid", "--mount", "--uts", *argv)

    def hurry(self) -> None:
        """Start what was requeued, which Slurm holds for two minutes, and resume drained nodes.

        That is what an administrator does: a controller that was killed drains nodes which run
        what it has forgotten ("Duplicate jobid").
        """
        drained = self.run(
            "sinfo", "--noheader", "--Node", "--states=drained", "--format=%N", check=False
        )
        for node in drained.split():
            self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        waiting = ("squeue", "--noheader", "--format=%i %r", "--array")
        for line in self.run(*waiting, check=False).splitlines():
            task, _, reason = line.partition(" ")
            if reason == "BeginTime":
                self.run("scontrol", "update", f"jobid={task}", "starttime=now", check=False)

    def state(self, node: str) -> str:
        """Return what Slurm thinks of a node."""
        return self.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T").strip()

    def _all_idle(self) -> bool:
        told = self.run("sinfo", "--noheader", "--Node", "--format=%T", check=False).split()
        return told == ["idle"] * len(self.nodes)

    def _daemon(self, *argv: str, log: str) -> subprocess.Popen[bytes]:
        with (self.root / "log" / log).open("ab") as stream:
            return subprocess.Popen(
                argv, env=self._environment, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, start_new_session=True,
            )  # fmt: skip

    def wait_for(self, met: Callable[[], object], patience: float = 30.0) -> None:
        """Wait until something is so. Raises AssertionError with the last lines of the logs."""
        until = time.monotonic() + patience
        while not met():
            assert time.monotonic() < until, self._logs()
            time.sleep(0.05)

    def _logs(self) -> str:
        tails = []
        for path in sorted((self.root / "log").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-8:]
            tails += [f"== {path.name}", *lines]
        return "\n".join(tails)

    def stop(self) -> None:
        """End all of it."""
        for host in self._hosts.values():
            host.kill()
            host.wait()
        if self._controller is not None:
            self._controller.kill()
            self._controller.wait()
        if self._accounting is not None:
            self._accounting.stop()
        with suppress(OSError, ValueError):
            os.kill(int((self.root / "run/munged.pid").read_text()), signal.SIGTERM)


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in told.split()]


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> int:
    """Return the first of so many free ports in a row."""
    for first in range(26817, 60000, 50):
        if not any(_listens(first + offset) for offset in range(count)):
            return first
    raise AssertionError("no ports are free")


@contextmanager
def running(root: Path, **told: Any) -> Iterator[SlurmCluster]:
    """Start a cluster for a block."""
    cluster = SlurmCluster(root, **told)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
