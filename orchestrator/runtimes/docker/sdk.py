"""Wraps the Docker SDK once: plain data out, two kinds of error.

Only this module imports `docker`. It uses the low-level client: the high-level one adds an inspect
to nearly every call.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, NoReturn

from docker import APIClient
from docker.errors import APIError, DockerException, StreamParseError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env, parse_repository_tag
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from orchestrator.errors import EngineError
from orchestrator.runtimes.docker import answers, contexts
from orchestrator.runtimes.docker.errors import LostError, RefusedError, SenselessError, one_line

# Docker 19.03: the first with device requests, that is, with --gpus.
LOWEST_API: Final = (1, 40)
LOWEST_NAMES: Final = "Docker 19.03 (API 1.40)"

PING_TIMEOUT: Final = 15  # s
CALL_TIMEOUT: Final = 60  # s; also for a start on a busy GPU host
REMOVAL_TIMEOUT: Final = 600  # s; an image of gigabytes on a busy disk takes more than a minute

Json = dict[str, Any]

# What the SDK lets through if a stream is cut off: requests wraps only what it reads itself.
_BROKEN_STREAM: Final = (HTTPError, HTTPException, OSError, StreamParseError, struct.error)
# What the SDK and our checks raise for an answer, or a settings file, of another form.
_SENSELESS: Final = (
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    ValueError,
    AssertionError,
    RecursionError,
)


def _links(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception's causes; urllib3 and requests also hide them among the arguments."""
    while error is not None:
        yield error
        inner = next((a for a in error.args if isinstance(a, BaseException)), None)
        error = getattr(error, "reason", None) or inner or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return


def unreachable(address: str, error: BaseException) -> EngineError:
    """Return the error for an engine that cannot be reached, with the system's reason."""
    numbers = {link.errno for link in _links(error) if isinstance(link, OSError)}
    if numbers & {errno.EACCES, errno.EPERM}:
        return EngineError(
            f"permission denied on the container engine at {address}",
            hint="run `sudo usermod -aG docker $USER` and log in again to join its group",
        )
    if errno.ENOENT in numbers:
        why, hint = "no such socket", "install Docker or set DOCKER_HOST"
    elif errno.ECONNREFUSED in numbers:
        why, hint = "connection refused", "run `sudo systemctl start docker` to start it"
    else:
        why, hint = one_line(str(error)), "check DOCKER_HOST"
    return EngineError(f"no container engine answers at {address} ({why})", hint=hint)


def _arguments() -> tuple[str, dict[str, Any]]:
    """Return the engine's address and the client's arguments, as Docker's CLI chooses them.

    DOCKER_HOST, else DOCKER_CONTEXT, else the current context (rootless Docker sets one). Raises
    MachineError for a context that does not exist, because any other engine would be the wrong one.
    """
    arguments: dict[str, Any] = {"base_url": "unix:///var/run/docker.sock"}
    chosen = kwargs_from_env()
    if "base_url" in chosen:
        contexts.check_settings()  # which the client reads too, and less carefully
    elif (endpoint := contexts.chosen()) is not None:
        arguments["base_url"] = endpoint.host
        if endpoint.certificates is not None:
            arguments["tls"] = _tls(endpoint.certificates, verify=endpoint.verify)
    arguments |= chosen
    return arguments["base_url"], arguments


def _tls(folder: Path, *, verify: bool) -> TLSConfig:
    files = {path.name.partition(".")[0]: str(path) for path in folder.iterdir()}
    pair = (files["cert"], files["key"]) if {"cert", "key"} <= set(files) else None
    return TLSConfig(client_cert=pair, ca_cert=files.get("ca"), verify=verify)


def _as_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


class _Client(APIClient):
    """The SDK's client, which would inspect a container again before it reads its output."""

    def _check_is_tty(self, container: str) -> bool:  # noqa: ARG002
        return False  # no container of benchdock has a terminal


class Sdk:
    """One engine's API. Every method raises only RefusedError or LostError, no error of the SDK."""

    def __init__(self, api: APIClient, address: str, name: str, version: str) -> None:
        self._api = api
        self.address = address
        self.name = name
        self.version = version

    @classmethod
    def connect(cls, chosen: str | None = None) -> Sdk:
        """Find the engine with one `/_ping`, whose headers name it (`/version` takes six times
        longer). It is at the `chosen` address, else where Docker's settings say.

        Raises EngineError if it is unreachable, denies access, or is too old.
        """
        address = os.environ.get("DOCKER_HOST", "the current Docker context")
        lowest = ".".join(map(str, LOWEST_API))
        try:
            address, arguments = (chosen, {"base_url": chosen}) if chosen else _arguments()
            if address.startswith("npipe:"):
                raise ValueError("named pipes only work on Windows")
            with APIClient(
                version=lowest, timeout=CALL_TIMEOUT, use_ssh_client=True, **arguments
            ) as probe:
                headers = probe.get(f"{probe.base_url}/_ping", timeout=PING_TIMEOUT).headers
            found = headers.get("Api-Version", "")
            if _as_version(found) < LOWEST_API:
                raise EngineError(
                    f"the container engine at {address} has API {found or 'unknown'}, but "
                    f"benchdock needs {LOWEST_NAMES} or newer",
                    hint="update it",
                )
            api = _Client(version=found, timeout=CALL_TIMEOUT, use_ssh_client=True, **arguments)
            # A socket has no proxy; looking for one takes a quarter of the CPU time of a call.
            api.trust_env = not address.startswith("unix:")
        # The SDK parses addresses and settings without checking them.
        except (DockerException, RequestException, *_BROKEN_STREAM, *_SENSELESS) as error:
            raise unreachable(address, error) from error
        podman = headers.get("Libpod-Api-Version")
        # e.g. "Docker/20.10.24+dfsg1 (linux)"
        served = headers.get("Server", "").partition("/")[2].partition(" ")[0]
        return cls(api, address, "podman" if podman else "docker", podman or served)

    @property
    def api_version(self) -> str:
        """Return the API version in use."""
        return self._api.api_version

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _raise(self, error: Exception) -> NoReturn:
        if isinstance(error, APIError):
            raise RefusedError(error.status_code or 0, str(error.explanation or error)) from error
        if isinstance(error, DockerException):  # the SDK itself refuses: a name, a credential store
            raise RefusedError(400, str(error)) from error
        if isinstance(error, _SENSELESS) and not isinstance(error, (RequestException, OSError)):
            raise SenselessError(self.address, error) from error
        raise LostError(self.address, str(error)) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DockerException, RequestException, *_BROKEN_STREAM, *_SENSELESS) as error:
            self._raise(error)

    @contextmanager
    def _patience(self, seconds: int) -> Iterator[None]:
        """Wait so long for the answers to calls that take no timeout of their own."""
        usual = self._api.timeout
        self._api.timeout = seconds
        try:
            yield
        finally:
            self._api.timeout = usual

    # Containers

    def create(self, config: Json, name: str) -> tuple[str, tuple[str, ...]]:
        """Create a container from the API's JSON; return its id and the engine's warnings."""
        with self._translated():
            answer = self._api.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
            return answers.created(answer)

    def start(self, container: str) -> None:
        """Start a created container."""
        with self._translated():
            self._api.start(container)

    def wait(self, container: str, timeout: float) -> None:
        """Block until the container does not run; LostError after `timeout` seconds.

        The answer is dropped: it is also given for containers that never ran.
        """
        with self._translated():
            self._api.wait(container, timeout=timeout)  # type: ignore[arg-type]  # stub says int

    def inspect(self, container: str) -> Json:
        """Return everything the engine knows about a container."""
        with self._translated():
            return answers.container(self._api.inspect_container(container))

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to a container's first process."""
        with self._translated():
            self._api.kill(container, signal)

    def remove(self, container: str) -> None:
        """Remove a container and its anonymous volumes, killing it first if it runs."""
        with self._translated():
            self._api.remove_container(container, v=True, force=True)

    def logs(self, container: str) -> Iterator[bytes]:
        """Yield the stdout and stderr that the engine kept, without following."""
        with self._translated():
            yield from self._api.logs(container, stream=True, follow=False)

    def containers(self, label: str | None = None) -> list[Json]:
        """Return the containers, running or not: all, or those that have a label."""
        with self._translated():
            chosen = {"label": [label]} if label else None
            return answers.containers(self._api.containers(all=True, filters=chosen))

    # Images

    def inspect_image(self, reference: str) -> Json:
        """Return everything the engine knows about an image."""
        with self._translated():
            return answers.image(self._api.inspect_image(reference))  # type: ignore[no-untyped-call]

    def images(self) -> list[Json]:
        """Return every image briefly, including intermediate steps of builds."""
        with self._translated():
            return answers.images(self._api.images(all=True))

    def steps_of(self, image: str) -> list[Json]:
        """Return the steps by which an image was built, the last first."""
        with self._translated():
            return answers.steps(self._api.history(image))  # type: ignore[no-untyped-call]

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name."""
        repository, tag = parse_repository_tag(name)
        with self._translated():
            self._api.tag(image, repository, tag)

    def remove_image(self, reference: str) -> None:
        """Remove a tag, and the image with its last tag, which takes long for a large one."""
        with self._translated(), self._patience(REMOVAL_TIMEOUT):
            self._api.remove_image(reference)

    def pull(self, reference: str) -> Iterator[Json]:
        """Yield the events of a pull."""
        with self._translated():
            yield from answers.all_events(self._api.pull(reference, stream=True, decode=True))

    def registry_digest(self, reference: str) -> str:
        """Ask a reference's registry for its digest, without pulling."""
        with self._translated():
            return answers.digest(self._api.inspect_distribution(reference))  # type: ignore[no-untyped-call]

    def build(
        self,
        context: Path,
        *,
        dockerfile: str,
        tag: str,
        labels: Mapping[str, str],
        arguments: Mapping[str, str],
        network: str | None,
    ) -> Iterator[Json]:
        """Yield the events of a build by the classic builder, the only one in the SDK."""
        with self._translated():
            try:
                events = self._api.build(
                    path=str(context),
                    dockerfile=dockerfile,
                    tag=tag,
                    labels=dict(labels),
                    buildargs=dict(arguments),
                    network_mode=network,
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
            except RequestException:
                raise
            except OSError as error:  # a file of the context that cannot be read
                raise RefusedError(400, str(error)) from error
            yield from answers.all_events(events)

    def import_image(self, archive: Path, reference: str, changes: tuple[str, ...]) -> None:
        """Make an image of one layer from a tar file of a root file system."""
        repository, tag = parse_repository_tag(reference)
        with self._translated():
            self._api.import_image(str(archive), repository, tag, changes=list(changes))

    def save(self, reference: str) -> Iterator[bytes]:
        """Yield an image as a tar file in the engine's layout."""
        with self._translated():
            yield from self._api.get_image(reference)

    # The engine itself

    def info(self) -> Json:
        """Return the engine's description of itself."""
        with self._translated():
            return answers.engine(self._api.info())

    def components(self) -> list[Json]:
        """Return the engine's components with their versions."""
        with self._translated():
            return answers.components(self._api.version())
