"""One container: start it, wait for it, stop it, remove it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import EngineError, MachineError
from orchestrator.plan import Plan
from orchestrator.runtimes.contract import Exit
from orchestrator.runtimes.docker import cdi
from orchestrator.runtimes.docker.config import Isolation, container_config, granted_gpus
from orchestrator.runtimes.docker.errors import (
    LostError,
    RefusedError,
    explain,
    one_line,
    refused_ulimit,
)
from orchestrator.runtimes.docker.patience import patiently
from orchestrator.runtimes.docker.sdk import Sdk

# Seconds.
WAIT_SLICE: Final = 60.0  # then inspect: a broken connection to a remote engine may never report it
PAUSE: Final = 0.2  # before waiting again, if the engine cut off a wait
KILL_PATIENCE: Final = 30.0  # a process in a driver call dies when the call returns
LEAVING_PATIENCE: Final = (
    10.0  # for an engine that is away when benchdock stops or removes the container
)
JOIN_PATIENCE: Final = 5.0

NOT_FOUND: Final = 404
CONFLICT: Final = 409  # already ended, or its removal has begun


class ContainerExecution:
    """A started container (orchestrator.runtimes.contract.Execution).

    A thread blocks in the engine's wait call, and callers wait for that thread, so nothing polls
    during a benchmark.
    """

    def __init__(
        self, sdk: Sdk, container: str, name: str, *, notes: tuple[str, ...], patience: float
    ) -> None:
        self._sdk = sdk
        self._container = container
        self._name = name
        self._notes = notes
        self._patience = patience
        self._closing = threading.Event()
        self._end: Future[Exit] = Future()
        self._thread = threading.Thread(target=self._watch, name=f"wait {name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Return the container's name."""
        return self._name

    def root(self) -> int | None:
        """Return the container's first process; None if the engine is on another machine."""
        try:
            pid = self._sdk.inspect(self._container)["State"].get("Pid")
            groups = Path(f"/proc/{pid}/cgroup").read_text("ascii") if pid else ""
        except (LostError, RefusedError, OSError, UnicodeDecodeError):
            return None
        return pid if self._container in groups else None

    def notes(self) -> tuple[str, ...]:
        """Return the engine's warnings and the dropped limits."""
        return self._notes

    def wait(self, timeout: float) -> Exit | None:
        """Wait up to `timeout` seconds; None while it runs.

        Raises EngineError if the engine is away for longer than its patience.
        """
        try:
            return self._end.result(timeout)
        except StillRunning:
            return None

    def stop(self, grace: float) -> Exit:
        """Send SIGTERM, and SIGKILL after `grace` seconds. Raises EngineError if neither helps."""
        self._signal("SIGTERM")
        end = self.wait(grace)
        if end is None:
            self._signal("SIGKILL")
            end = self.wait(KILL_PATIENCE)
        if end is None:
            raise EngineError(
                f"container {self._name} does not end even after SIGKILL",
                hint="check `dmesg` for a hung driver or file system",
            )
        return end

    def collect_output(self, destination: Path, limit: int) -> None:
        """Write at most `limit` bytes of the engine's log; an empty file if there is none."""
        room = limit
        with destination.open("wb") as stream, suppress_status(NOT_FOUND):
            # Read to the end even past the limit: the log is bounded, and a half-read connection
            # leaks.
            for chunk in self._sdk.logs(self._container):
                stream.write(chunk[:room])
                room -= min(room, len(chunk))

    def close(self) -> None:
        """Stop the waiting thread; the container is already gone."""
        self._closing.set()
        self._thread.join(JOIN_PATIENCE)

    def _signal(self, signal: str) -> None:
        with suppress_status(NOT_FOUND, CONFLICT):
            patiently(
                lambda: self._sdk.kill(self._container, signal),
                patience=min(self._patience, LEAVING_PATIENCE),
            )

    def _watch(self) -> None:
        try:
            self._end.set_result(self._await_end())
        except BaseException as error:  # the waiting thread must see it, even a bug
            self._end.set_exception(error)

    def _await_end(self) -> Exit:
        while True:
            # However a wait ends, with an answer or a broken connection, inspect decides.
            with suppress(LostError, RefusedError):
                self._sdk.wait(self._container, timeout=WAIT_SLICE)
            end = self._look()
            if end is not None:
                return end
            self._closing.wait(PAUSE)

    def _look(self) -> Exit | None:
        try:
            state = patiently(
                lambda: self._sdk.inspect(self._container),
                patience=self._patience,
                closing=self._closing,
            )["State"]
        except RefusedError as refused:
            if refused.status != NOT_FOUND:
                raise
            return Exit(code=None, detail=f"container {self._name} is gone")
        except LostError as lost:
            raise EngineError(
                f"{lost.what}; after {self._patience:.0f} s of that, the end of container "
                f"{self._name} is unknown",
                hint="run `docker ps` to see whether it still runs",
            ) from lost
        return None if state["Running"] else as_exit(state)


def as_exit(state: dict[str, Any]) -> Exit:
    """Return how a container ended, from the engine's description of its state."""
    return Exit(
        code=state["ExitCode"],
        # Also true if only a child was killed, with exit code 0. podman may not report it.
        oom_killed=bool(state.get("OOMKilled")),
        detail=one_line(state.get("Error") or ""),
    )


class suppress_status:  # noqa: N801  # reads as contextlib.suppress does
    """Suppress a refusal with one of these HTTP statuses."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, RefusedError) and error.status in self._statuses


def launch(sdk: Sdk, plan: Plan, *, name: str, labels: dict[str, str]) -> tuple[str, list[str]]:
    """Create and start a container; return its id and notes for the result.

    A ulimit that the host refuses is dropped, with a note. Raises EngineError, ImageError or
    MachineError; the container may exist by then.
    """
    image = plan.image or plan.image_id or ""
    ulimits = plan.limits.ulimits
    info = sdk.info()
    isolation = Isolation.told_by(info)
    known = cdi.names(sdk.name, sdk.version, info, plan.gpus) if plan.gpus else ()
    notes: list[str] = [*isolation.notes()]
    while True:
        config = container_config(
            plan, labels=labels, ulimits=ulimits, isolation=isolation, cdi_names=known
        )
        try:
            container, warnings = sdk.create(config, name)
            _check_gpus(sdk, container, plan)
            sdk.start(container)
        except RefusedError as refused:
            limit = refused_ulimit(refused.text)
            kept = tuple(u for u in ulimits if u.name != limit)
            if len(kept) == len(ulimits):
                raise explain(refused, image=image) from refused
            ulimits = kept
            notes.append(f"the host refuses ulimit {limit}; the container runs without it")
            sdk.remove(name)
        else:
            return container, [*notes, *(f"engine: {one_line(text)}" for text in warnings)]


def _check_gpus(sdk: Sdk, container: str, plan: Plan) -> None:
    """Refuse to start if the engine dropped the request for GPUs, as podman 4 silently does."""
    if not plan.gpus:
        return
    missing = set(plan.gpus) - granted_gpus(sdk.inspect(container))
    if missing:
        raise MachineError(
            f"the container engine ({sdk.name} {sdk.version}) ignores the request for "
            f"GPU {', '.join(sorted(missing))}",
            hint="use Docker with the NVIDIA container toolkit, or --runtime host",
        )


def discard(sdk: Sdk, name: str) -> None:
    """Remove a container, running or not. Raises EngineError that names what is left behind."""
    try:
        with suppress_status(NOT_FOUND, CONFLICT):
            patiently(lambda: sdk.remove(name), patience=LEAVING_PATIENCE)
    except (LostError, RefusedError) as error:
        raise EngineError(
            f"container {name} could not be removed: {error.what}",
            hint=f"run `docker rm -f {name}`, or leave it to the next run of benchdock",
        ) from error
