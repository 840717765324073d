"""The container engine as benchdock uses it: Docker, or anything with its API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from orchestrator.errors import EngineError, ImageError
from orchestrator.machine.processes import Owner
from orchestrator.plan import Plan
from orchestrator.runtimes.docker import images as engine_images
from orchestrator.runtimes.docker import stock
from orchestrator.runtimes.docker.errors import RefusedError
from orchestrator.runtimes.docker.execution import ContainerExecution, discard, launch
from orchestrator.runtimes.docker.images import BuildError, ImageInfo, PullProgress
from orchestrator.runtimes.docker.reaper import (
    LABEL_GPUS,
    LABEL_KEEP,
    LABEL_RUN,
    LabelledContainer,
    container_name,
)
from orchestrator.runtimes.docker.sdk import Sdk
from orchestrator.runtimes.docker.stock import StockedImage
from orchestrator.signals import held

__all__ = ["BuildError", "Engine", "EngineInfo", "ImageInfo", "PullProgress", "StockedImage"]

PATIENCE: Final = 60.0  # s; a restart of dockerd takes 0.3, after a crash 10


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine says about itself; sizes in bytes.

    `gpu_support` says that a GPU runtime or device driver is registered: a hint, not a proof. A
    `rootless` engine cannot raise ulimits.
    """

    name: str
    version: str
    api_version: str
    address: str
    storage_driver: str
    runtimes: tuple[str, ...]
    gpu_support: bool
    live_restore: bool
    rootless: bool
    root_dir: str
    operating_system: str
    cgroup_version: str
    cpus: int
    memory: int
    warnings: tuple[str, ...]

    @property
    def data_root(self) -> Path | None:
        """Return the folder with the engine's images; None if it is on another machine."""
        root = Path(self.root_dir)
        here = self.root_dir and self.address.startswith("unix:")
        return root if here and os.access(root.parent, os.X_OK) and root.is_dir() else None


class Engine:
    """A connection to a container engine (orchestrator.runtimes.contract.Runtime).

    If the engine is away for more than `patience` seconds during a run, the run is given up.
    """

    def __init__(self, sdk: Sdk, *, patience: float = PATIENCE) -> None:
        self._sdk = sdk
        self._patience = patience

    @classmethod
    def connect(cls, address: str | None = None, *, patience: float = PATIENCE) -> Self:
        """Connect to an address, or as Docker's command line does: to DOCKER_HOST, else to the
        current context.

        Raises EngineError if no engine answers, access is denied, or it is too old.
        """
        return cls(Sdk.connect(address), patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._sdk.close()

    @property
    def name(self) -> str:
        """Return "docker" or "podman"."""
        return self._sdk.name

    @property
    def version(self) -> str:
        """Return the engine's version."""
        return self._sdk.version

    @property
    def address(self) -> str:
        """Return the engine's address."""
        return self._sdk.address

    # Containers

    @contextmanager
    def start(self, plan: Plan, *, run_id: str) -> Iterator[ContainerExecution]:
        """Run a plan in a container that is removed at the end, whatever happened.

        With BENCHDOCK_KEEP_CONTAINER=1 it is kept for inspection, but killed if it still runs.
        Raises EngineError, ImageError or MachineError.
        """
        keep = os.environ.get("BENCHDOCK_KEEP_CONTAINER") == "1"
        labels = {LABEL_RUN: run_id, **Owner.here().labels()}
        if plan.gpus:
            labels[LABEL_GPUS] = ",".join(plan.gpus)
        if keep:
            labels[LABEL_KEEP] = "1"
        name = container_name(run_id)
        execution = None
        try:
            container, notes = launch(self._sdk, plan, name=name, labels=labels)
            if self.name == "podman":
                notes.append("the engine is podman, which does not report when memory ran out")
            if keep:
                notes.append(f"container {name} is kept; run `docker rm -f {name}` to remove it")
            execution = ContainerExecution(
                self._sdk, container, name, notes=tuple(notes), patience=self._patience
            )
            yield execution
        except BaseException as error:
            self._leave(execution, name, keep=keep, failure=error)
            raise
        else:
            self._leave(execution, name, keep=keep, failure=None)

    def _leave(
        self,
        execution: ContainerExecution | None,
        name: str,
        *,
        keep: bool,
        failure: BaseException | None,
    ) -> None:
        """Remove a container; errors doing so must not hide the `failure` that led here."""
        with held():
            self._leave_now(execution, name, keep=keep, failure=failure)

    def _leave_now(
        self,
        execution: ContainerExecution | None,
        name: str,
        *,
        keep: bool,
        failure: BaseException | None,
    ) -> None:
        try:
            if not keep:
                discard(self._sdk, name)
            elif execution is not None and execution.wait(0) is None:
                execution.stop(0)
        except EngineError as left_behind:
            if failure is None:
                raise
            failure.add_note(str(left_behind))
        finally:
            if execution is not None:
                execution.close()

    def our_containers(self) -> tuple[LabelledContainer, ...]:
        """Return the containers that benchdock started, from any process on any host."""
        return tuple(
            LabelledContainer(
                id=found["Id"],
                name=found["Names"][0].lstrip("/") if found.get("Names") else found["Id"][:12],
                labels=found["Labels"],
                running=found["State"] in {"running", "paused", "restarting"},
            )
            for found in self._sdk.containers(LABEL_RUN)
        )

    def remove_container(self, container: str) -> None:
        """Remove a container, running or not; no error if it is gone. Raises EngineError."""
        discard(self._sdk, container)

    # Images

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image of the engine, None if it has none with that name."""
        return engine_images.find(self._sdk, reference)

    def pull(self, reference: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """Pull an image from its registry. Raises ImageError or EngineError."""
        return engine_images.pull(self._sdk, reference, on_progress)

    def registry_digest(self, reference: str) -> str:
        """Return the current digest of a reference in its registry. Raises ImageError."""
        return engine_images.registry_digest(self._sdk, reference)

    def build(
        self,
        context: Path,
        *,
        tag: str,
        on_line: Callable[[str], None],
        dockerfile: str = "Dockerfile",
        labels: Mapping[str, str] | None = None,
        buildargs: Mapping[str, str] | None = None,
        network_mode: str | None = None,
    ) -> ImageInfo:
        """Build an image; `dockerfile` is relative to `context`, or absolute.

        Raises BuildError (an ImageError) with the failing step and the last lines.
        """
        return engine_images.build(
            self._sdk,
            context,
            dockerfile=dockerfile,
            tag=tag,
            labels=labels or {},
            arguments=buildargs or {},
            network=network_mode,
            on_line=on_line,
        )

    def import_image(self, archive: Path, tag: str, *, changes: tuple[str, ...] = ()) -> ImageInfo:
        """Make an image from a tar file of a root file system; `changes` are Dockerfile lines.

        Raises ImageError or EngineError.
        """
        return engine_images.import_image(self._sdk, archive, tag, changes)

    def images(self) -> tuple[StockedImage, ...]:
        """Return every image the engine has. Raises EngineError."""
        return stock.images(self._sdk)

    def images_in_use(self) -> dict[str, str]:
        """Return the ids of the images that containers use, each with the name of a container."""
        return stock.images_in_use(self._sdk)

    def last_step(self, image: str) -> str:
        """Return the last step that built an image, "" if unknown."""
        steps = self._sdk.steps_of(image)
        return (steps[0].get("CreatedBy") or "") if steps else ""

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name, which takes it from any other image. Raises ImageError."""
        try:
            self._sdk.tag_image(image, name)
        except RefusedError as refused:
            raise ImageError(f"image {image} cannot be named {name}: {refused.text}") from refused

    def remove_image(self, reference: str) -> None:
        """Remove an image's tag, and the image with its last one. Raises ImageError."""
        try:
            self._sdk.remove_image(reference)
        except RefusedError as refused:
            raise ImageError(f"image {reference} stays: {refused.text}") from refused

    def save(self, reference: str) -> Iterator[bytes]:
        """Yield an image as a tar file in the engine's layout. Raises EngineError."""
        yield from self._sdk.save(reference)

    # The engine itself

    def info(self) -> EngineInfo:
        """Return what the engine says about itself. Raises EngineError."""
        info = self._sdk.info()
        components = {part.get("Name", "") for part in self._sdk.components()}
        runtimes = tuple(sorted(info.get("Runtimes") or {}))
        devices = str(info.get("DiscoveredDevices") or "") + " ".join(runtimes)
        security = " ".join(info.get("SecurityOptions") or ())
        return EngineInfo(
            name="podman" if "Podman Engine" in components else self.name,
            version=info.get("ServerVersion") or self.version,
            api_version=self._sdk.api_version,
            address=self.address,
            storage_driver=info.get("Driver", ""),
            runtimes=runtimes,
            gpu_support="nvidia" in devices,
            live_restore=bool(info.get("LiveRestoreEnabled")),
            rootless="rootless" in security,
            root_dir=info.get("DockerRootDir", ""),
            operating_system=info.get("OperatingSystem", ""),
            cgroup_version=str(info.get("CgroupVersion", "")),
            cpus=info.get("NCPU", 0),
            memory=info.get("MemTotal", 0),
            warnings=tuple(info.get("Warnings") or ()),
        )
