"""The host runtime: the launcher script as a tree of processes, if no engine answers.

Nothing that it starts outlives it, or benchdock if that is killed: see `keeper`, and `records` for
what is left if the keeper is killed too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from orchestrator.errors import MachineError
from orchestrator.machine.processes import Owner, living
from orchestrator.paths import cuda_cache, runs
from orchestrator.plan import Plan
from orchestrator.runtimes.contract import Execution, Exit
from orchestrator.runtimes.host import handed_on, keeper
from orchestrator.runtimes.host.processes import TOKEN, end, members
from orchestrator.runtimes.host.running import RunningRecord
from orchestrator.signals import held

_FALLBACK_PAUSE = 0.05
_REAP_PATIENCE = 6.0  # seconds for the keeper, which itself waits 5 for what it killed
_COPY = 1024 * 1024


def _oom_kills() -> int | None:
    """Count the processes that the kernel has killed for memory since boot."""
    try:
        text = Path("/proc/vmstat").read_text("ascii")
    except OSError:
        return None
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None


def environment(plan: Plan, token: str) -> dict[str, str]:
    """Return the program's whole environment: a clean one, and the plan's variables."""
    # Without an engine, this selects the GPUs; empty hides all of them from a CPU run.
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(plan.gpus)}
    if plan.gpus:
        # Usually below HOME, which need not be writable; then each run compiles again.
        visible["CUDA_CACHE_PATH"] = str(cuda_cache())
    return handed_on.variables(plan.prefix) | visible | plan.environment | {TOKEN: token}


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is started on this host in place of a plan's own words: a client with its environment.

    `notes` are for the result.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()


class HostRuntime:
    """Starts plans as processes of this machine."""

    def start(self, plan: Plan, *, run_id: str) -> AbstractContextManager[Execution]:
        """Return the execution; it starts when its context is entered. Raises MachineError."""
        return HostExecution(plan, run_id)


class HostExecution:
    """A program under a keeper, with empty stdin and both outputs in an unnamed file.

    The keeper ends when none of the program's processes is left. It stays a zombie until the end of
    the context, so that no other process can get its number meanwhile.
    """

    def __init__(self, plan: Plan, run_id: str, client: Command | None = None) -> None:
        self._plan = plan
        self._client = client
        self._run_id = run_id
        self._token = secrets.token_hex(16)
        self._notes = list(_limit_notes(plan) if client is None else client.notes)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._pidfd: int | None = None
        self._exit: Exit | None = None
        self._killed = False
        self._oom_kills = _oom_kills()
        self._record: RunningRecord | None = None
        self._output: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._clean_up()

    @property
    def name(self) -> str:
        """Return "process tree N"."""
        return f"process tree {self._keeper.pid}"

    def wait(self, timeout: float) -> Exit | None:
        """Wait up to `timeout` seconds for the program; None while it runs."""
        if self._exit is None and self._ended_within(timeout):
            self._exit = self._how_it_ended()
        return self._exit

    def stop(self, grace: float) -> Exit:
        """Send SIGTERM to every process, and SIGKILL to the rest after `grace` seconds."""
        ended = self.wait(0)
        if ended is None:
            self._signal_all(signal.SIGTERM)
            ended = self.wait(grace)
        self._killed = ended is None
        self._let_go()
        if ended is None:
            ended = self.wait(_REAP_PATIENCE)
        if ended is None:
            left = end(self._token, self._keeper.pid)
            ended = Exit(code=None, detail=f"processes {left} cannot be killed (driver hung?)")
        return ended

    def collect_output(self, destination: Path, limit: int) -> None:
        """Write what was printed before the script took over: first and last half of `limit`.

        Raises OSError if the destination cannot be written.
        """
        if self._output is None:
            return
        source = self._output.fileno()
        size = os.fstat(source).st_size
        with destination.open("wb") as stream:
            if size <= limit:
                _copy(source, stream, 0, size)
                return
            mark = f"\n[{size - limit} more bytes left out here]\n".encode()[:limit]
            head = (limit - len(mark)) // 2
            tail = limit - len(mark) - head
            _copy(source, stream, 0, head)
            stream.write(mark)
            _copy(source, stream, size - tail, tail)

    def said(self, limit: int) -> str:
        """Return the last `limit` bytes of what was printed before the script took over."""
        if self._output is None:
            return ""
        source = self._output.fileno()
        size = os.fstat(source).st_size
        return os.pread(source, limit, max(0, size - limit)).decode("utf-8", "replace")

    def root(self) -> int | None:
        """Return the keeper, the ancestor of the program's processes."""
        return self._keeper.pid

    def notes(self) -> tuple[str, ...]:
        """Return the limits that this runtime could not apply, and other notes."""
        return tuple(self._notes)

    @property
    def _keeper(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the execution is used outside its context")
        return self._process

    def _start(self) -> None:
        plan, client = self._plan, self._client
        argv = plan.argv if client is None else client.argv
        given = environment(plan, self._token)
        if client is not None:
            given = {**client.environment, TOKEN: self._token}
        program = _find(plan, argv[0], given.get("PATH", os.defpath))
        folder = runs() / self._run_id
        where = folder if folder.is_dir() else None
        try:
            self._output = tempfile.TemporaryFile(dir=where)  # noqa: SIM115 (closed in _clean_up)
            self._record = RunningRecord(run_id=self._run_id, token=self._token, owner=Owner.here())
            self._record.write()
            self._process = self._start_keeper([program, *argv[1:]], given, where)
            self._note_leader(self._process.pid)
        except OSError as error:
            raise MachineError(f"cannot start the program on the host: {error}") from error
        with contextlib.suppress(OSError):  # before Linux 5.3, or forbidden in a sandbox
            self._pidfd = os.pidfd_open(self._process.pid)

    def _start_keeper(
        self, argv: list[str], given: dict[str, str], where: Path | None
    ) -> subprocess.Popen[bytes]:
        lifeline, self._lifeline = os.pipe()
        try:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, str(lifeline), *argv],
                cwd=where,
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lifeline,),
            )
        finally:
            os.close(lifeline)

    def _let_go(self) -> None:
        """Make the keeper kill what is left and exit."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _note_leader(self, pid: int) -> None:
        seen = living(pid)
        if seen is not None and self._record is not None:
            self._record = replace(self._record, leader=pid, leader_start=seen.start)
            self._record.write()

    def _ended_within(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return bool(poll.poll(max(0.0, timeout) * 1000))
        while self._peek() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_FALLBACK_PAUSE, left))
        return True

    def _peek(self) -> os.waitid_result | None:
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._keeper.pid, options)

    def _how_it_ended(self) -> Exit:
        result = self._peek()
        if result is None:
            raise RuntimeError("the keeper has ended, but its status cannot be read")
        exited = result.si_code == os.CLD_EXITED
        code = result.si_status if exited else 128 + result.si_status
        before, now = self._oom_kills, _oom_kills()
        memory_kill = before is not None and now is not None and now > before
        by_memory = memory_kill and code == 128 + signal.SIGKILL and not self._killed
        if memory_kill and not by_memory:
            self._notes.append(
                "the kernel killed a process for memory on this machine during the run"
            )
        return Exit(code=code, oom_killed=by_memory)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in members(self._token, self._keeper.pid):
            if pid == self._keeper.pid:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _clean_up(self) -> None:
        """Leave nothing behind; what cannot be killed now keeps its record for the reaper."""
        with held():
            self._clean_up_now()

    def _clean_up_now(self) -> None:
        left: list[int] = []
        self._let_go()
        if self._process is not None:
            self._ended_within(_REAP_PATIENCE)
            left = end(self._token, self._process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0 if left else _REAP_PATIENCE)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        if self._output is not None:
            self._output.close()
            self._output = None
        if self._record is not None and not left:
            with contextlib.suppress(OSError):  # the next reaper removes it
                self._record.path.unlink()


def _find(plan: Plan, name: str, path: str) -> str:
    """Return the path of a program. Raises MachineError if it or a mount is missing."""
    for mount in plan.mounts:
        if not mount.source.exists():
            raise MachineError(f"{mount.source} does not exist")
    program = shutil.which(name, path=path)
    if program is None:
        raise MachineError(
            f"{name} is not on PATH", hint=f"install it, e.g. with apt-get install {name}"
        )
    return program


def _limit_notes(plan: Plan) -> Iterator[str]:
    """List the limits that do not apply here.

    RLIMIT_AS counts address space, of which frameworks reserve far more than they use, and
    RLIMIT_NPROC counts all processes of the user: neither is the requested limit.
    """
    asked = {
        "memory": plan.limits.memory,
        "process": plan.limits.pids,
        "shared memory": plan.limits.shm_size,
        "resource (ulimit)": plan.limits.ulimits or None,
    }
    for name, value in asked.items():
        if value is not None:
            yield f"the host runtime cannot limit {name}: the requested limit was not applied"


def _copy(source: int, destination: IO[bytes], offset: int, count: int) -> None:
    end = offset + count
    while offset < end:
        # pread leaves the program's position in the file unchanged.
        block = os.pread(source, min(_COPY, end - offset), offset)
        if not block:
            return
        destination.write(block)
        offset += len(block)
