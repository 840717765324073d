"""The containers and the images of podman, asked by command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator.errors import EngineError, ImageError
from orchestrator.runtimes.by_command.finding import last_line, run
from orchestrator.runtimes.by_command.platforms import ContainerProgram
from orchestrator.runtimes.docker.images import ImageInfo
from orchestrator.runtimes.docker.reaper import LABEL_RUN, LabelledContainer

REMOVAL_PATIENCE: Final = 60.0  # seconds
_RUNNING: Final = frozenset({"running", "paused", "stopping"})


class Podman:
    """One user's podman (orchestrator.runtimes.docker.reaper.Containers)."""

    def __init__(self, program: ContainerProgram) -> None:
        self._path = program.path

    def our_containers(self) -> tuple[LabelledContainer, ...]:
        """Return the containers that have our label. Raises EngineError."""
        words = ("ps", "--all", "--filter", f"label={LABEL_RUN}", "--format", "json")
        try:
            return tuple(map(_as_container, self._told(*words)))
        except (KeyError, TypeError, IndexError) as error:
            raise EngineError(f"podman lists containers in an unknown form: {error}") from None

    def remove_container(self, container: str) -> None:
        """Remove one, running or not; no error if it is gone. Raises EngineError."""
        words = ("rm", "--force", "--ignore", "--time=0", "--volumes", container)
        done = run((self._path, *words), patience=REMOVAL_PATIENCE)
        if done.returncode:
            raise EngineError(
                f"container {container} could not be removed: {last_line(done.stderr)}",
                hint=f"run `podman rm -f {container}`, or leave it to the next run of benchdock",
            )

    def stop_container(self, container: str, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds. Raises EngineError."""
        words = ("stop", f"--time={round(grace)}", container)
        done = run((self._path, *words), patience=grace + REMOVAL_PATIENCE)
        if done.returncode:
            raise EngineError(last_line(done.stderr))

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image of the store, None if it has none of that name. Raises EngineError."""
        if run((self._path, "image", "exists", reference)).returncode:
            return None
        found = self._told("image", "inspect", "--format", "json", reference)
        return _as_info(reference, found[0]) if found else None

    def pull(self, reference: str, on_line: Callable[[str], None]) -> ImageInfo:
        """Pull an image, passing on what podman prints. Raises ImageError or EngineError."""
        last = ""
        try:
            with subprocess.Popen(
                (self._path, "pull", reference),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    last = line if line.strip() else last
                    on_line(line.rstrip())
        except OSError as error:
            raise EngineError(f"cannot start {self._path}: {error.strerror}") from None
        found = None if process.returncode else self.image(reference)
        if found is None:
            raise ImageError(
                f"podman cannot pull {reference}: {last_line(last)}",
                hint="check its name and the network, or load it from a file with `podman load`",
            )
        return found

    def _told(self, *words: str) -> list[dict[str, Any]]:
        done = run((self._path, *words))
        if done.returncode:
            raise EngineError(f"podman {words[0]} failed: {last_line(done.stderr)}")
        try:
            found = json.loads(done.stdout or "[]")
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise EngineError(
                f"the answer of `podman {words[0]}` is not what podman prints",
                hint="is it podman? see `benchdock doctor`",
            )
        return found


def _as_container(told: Mapping[str, Any]) -> LabelledContainer:
    return LabelledContainer(
        id=str(told["Id"]),
        name=str((told.get("Names") or [told["Id"][:12]])[0]),
        labels=told.get("Labels") or {},
        running=told.get("State") in _RUNNING,
    )


def _as_info(reference: str, found: Mapping[str, Any]) -> ImageInfo:
    """Read what podman knows of an image. Raises EngineError if it is not what podman prints."""
    try:
        config = found.get("Config") or {}
        # Unlike Docker, podman invents a digest for an image that was in no registry.
        names = [name for name in found.get("RepoDigests") or () if not _is_local(name)]
        image_id = str(found["Id"])
        return ImageInfo(
            reference=reference,
            id=image_id if image_id.startswith("sha256:") else f"sha256:{image_id}",
            digest=str(names[0]).partition("@")[2] if names else None,
            labels=found.get("Labels") or config.get("Labels") or {},
            size=int(found.get("Size") or 0),
            environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(
            f"podman describes the image {reference} in an unknown form: {error}"
        ) from None


def _is_local(name: object) -> bool:
    return str(name).startswith(("localhost/", "docker.io/benchdock/"))
