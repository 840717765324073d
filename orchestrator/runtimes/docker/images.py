"""Images: which ones there are, and how to get more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import EngineError, ImageError
from orchestrator.runtimes.docker.errors import LostError, RefusedError
from orchestrator.runtimes.docker.sdk import Sdk

ATTEMPTS: Final = 3
FIRST_PAUSE = 1.0  # s between attempts, doubled each time
TAIL: Final = 15  # lines shown of a failed build
LONGEST_STEP: Final = 100

# Refusals of a registry that a second attempt cannot change. Engines send most of them as 500.
_HOPELESS: Final = re.compile(
    r"manifest unknown|not found|does not exist|denied|unauthorized|authentication required"
    r"|no matching manifest|invalid reference|no space left|toomanyrequests"
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
# "Step 2/4 : RUN …", from podman "[1/2] STEP 2/4: RUN …".
_STEP: Final = re.compile(r"(?:\[\S+\] )?S(?:tep|TEP) (?P<number>\d+/\d+) ?: (?P<instruction>.*)")
_LAYER: Final = re.compile(r" ---> (?P<id>[0-9a-f]{12})$")


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """An image of the engine. `size` in bytes; `digest` is None for an image built here."""

    reference: str
    id: str
    digest: str | None
    labels: Mapping[str, str]
    size: int
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PullProgress:
    """One event of a pull; `done` and `total` in bytes, if a layer is being transferred."""

    status: str
    layer: str | None = None
    done: int | None = None
    total: int | None = None


class BuildError(ImageError):
    """A build failed in `step`; `tail` holds the last lines it printed."""

    def __init__(self, tag: str, step: str, reason: str, tail: tuple[str, ...]) -> None:
        self.step = step
        self.tail = tail
        where = f" in {step}" if step else ""
        super().__init__(f"building image {tag} failed{where}: {reason}", details=tail)


def find(sdk: Sdk, reference: str) -> ImageInfo | None:
    """Return an image, None if the engine has none of that name."""
    try:
        found = sdk.inspect_image(reference)
    except RefusedError as refused:
        if refused.status == 404:
            return None
        if refused.status == 400:
            raise ImageError(
                f"{reference!r} is not an image reference ({refused.text})"
            ) from refused
        raise
    return _as_info(reference, found)


def _as_info(reference: str, found: dict[str, Any]) -> ImageInfo:
    config = found.get("Config") or {}
    digests: list[str] = found.get("RepoDigests") or []
    # One image may have been pulled from several registries: the requested one counts.
    repository = re.sub(r"(@sha256:.*|:[^/:]*)$", "", reference)
    digests = sorted(digests, key=lambda d: d.partition("@")[0] != repository)
    return ImageInfo(
        reference=reference,
        id=found["Id"],
        digest=digests[0].partition("@")[2] if digests else None,
        labels=config.get("Labels") or {},
        size=found["Size"],
        environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or []),
        entrypoint=tuple(config.get("Entrypoint") or ()),
    )


def pull(sdk: Sdk, reference: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
    """Pull an image, trying again if that may help. Raises ImageError."""
    import tenacity  # 25 ms, and most runs pull nothing

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reason = error.text if isinstance(error, RefusedError) else str(error)
        count = f"{state.attempt_number + 1} of {ATTEMPTS}"
        on_progress(PullProgress(status=f"trying again, {count}: {reason}"))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_worth_retrying),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE),
        before_sleep=say,
        reraise=True,
    )
    try:
        retrying(_pull_once, sdk, reference, on_progress)
    except RefusedError as refused:
        raise _pull_failed(reference, refused) from refused
    found = find(sdk, reference)
    if found is None:  # podman reports a failed pull as done
        raise ImageError(f"image {reference} could not be pulled", hint="check its name")
    return found


def _pull_once(sdk: Sdk, reference: str, on_progress: Callable[[PullProgress], None]) -> None:
    for event in sdk.pull(reference):
        if "error" in event:
            raise RefusedError(500, event["error"])
        detail = event.get("progressDetail") or {}
        on_progress(
            PullProgress(
                status=event.get("status", ""),
                layer=event.get("id"),
                done=detail.get("current"),
                total=detail.get("total"),
            )
        )


def _worth_retrying(error: BaseException) -> bool:
    if isinstance(error, RefusedError):
        return error.status >= 500 and not _HOPELESS.search(error.text)
    return isinstance(error, LostError)


def _pull_failed(reference: str, refused: RefusedError) -> ImageError:
    if "denied" in refused.text or "unauthorized" in refused.text:
        return ImageError(
            f"no such image {reference}, or it needs a login",
            hint="check its name, or `docker login` to its registry",
        )
    if refused.status == 400:
        return ImageError(f"{reference!r} is not an image reference ({refused.text})")
    if refused.status == 404 or _HOPELESS.search(refused.text):
        return ImageError(f"no such image {reference} ({refused.text})", hint="check its name")
    return ImageError(
        f"image {reference} could not be pulled in {ATTEMPTS} attempts: {refused.text}",
        hint="check the network; an image that is already here needs none",
    )


def registry_digest(sdk: Sdk, reference: str) -> str:
    """Return what a reference's registry says is its digest now. Raises ImageError."""
    try:
        return sdk.registry_digest(reference)
    except (RefusedError, LostError) as error:
        why = error.text if isinstance(error, RefusedError) else error.what
        raise ImageError(f"no registry gives the digest of {reference}: {why}") from error


def build(
    sdk: Sdk,
    context: Path,
    *,
    dockerfile: str,
    tag: str,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    network: str | None,
    on_line: Callable[[str], None],
) -> ImageInfo:
    """Build an image, printing lines as they come. Raises BuildError or ImageError.

    The last layers of inner stages, which the classic builder leaves behind untagged, are
    removed. After a failure the finished steps stay: they are the cache of the next attempt.
    """
    if not context.is_dir():
        raise ImageError(f"image {tag} cannot be built: no such folder {context}")
    progress = _BuildProgress(tag, on_line)
    events = sdk.build(
        context, dockerfile=dockerfile, tag=tag, labels=labels, arguments=arguments, network=network
    )
    try:
        for line in _lines(events):
            progress.take(line)
    except RefusedError as refused:
        raise progress.failure(refused.text) from refused
    if progress.image is None:
        raise EngineError(f"the container engine ended the build of image {tag} without an image")
    _remove_untagged(sdk, progress.stages)
    return _as_info(tag, sdk.inspect_image(progress.image))


def _lines(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a build's output line by line, without colours; `\\r` ends a line too."""
    rest = ""
    for event in events:
        if "error" in event:
            raise RefusedError(500, event["error"])
        *whole, rest = re.split(r"\r?\n|\r", rest + event.get("stream", ""))
        yield from (_COLOUR.sub("", line) for line in whole)
    if rest:
        yield _COLOUR.sub("", rest)


class _BuildProgress:
    """The information in the lines of a classic build: the step, each stage's last layer, the
    image.
    """

    def __init__(self, tag: str, on_line: Callable[[str], None]) -> None:
        self._tag = tag
        self._on_line = on_line
        self._step = ""
        self._layer: str | None = None
        self._steps_in_stage = 0
        self._tail: list[str] = []
        self.stages: list[str] = []
        self.image: str | None = None

    def take(self, line: str) -> None:
        self._tail = [*self._tail[1 - TAIL :], line]
        if step := _STEP.match(line):
            self._enter(step)
        elif layer := _LAYER.match(line):
            self._layer = layer["id"]
        elif line.startswith("Successfully built "):
            self.image = line.rsplit(maxsplit=1)[-1]
        self._on_line(line)

    def _enter(self, step: re.Match[str]) -> None:
        self._step = f"step {step['number']} ({step['instruction'][:LONGEST_STEP].strip()})"
        self._steps_in_stage += 1
        if not step["instruction"].upper().startswith("FROM "):
            return
        # A stage that is nothing but its FROM ends in an image that is not ours.
        if self._steps_in_stage > 2 and self._layer is not None:
            self.stages.append(self._layer)
        self._steps_in_stage = 1

    def failure(self, reason: str) -> BuildError:
        return BuildError(self._tag, self._step, reason, tuple(self._tail))


def _remove_untagged(sdk: Sdk, images: Iterable[str]) -> None:
    for image in images:
        # Gone already, in use by a container, or the parent of another image: it stays.
        with suppress(RefusedError):
            if not sdk.inspect_image(image).get("RepoTags"):
                sdk.remove_image(image)


def import_image(sdk: Sdk, archive: Path, tag: str, changes: tuple[str, ...]) -> ImageInfo:
    """Make an image of one layer from a tar of a root file system. Raises ImageError."""
    if not archive.is_file():  # the SDK would take it for a URL
        raise ImageError(f"image {tag} cannot be imported: no such file {archive}")
    try:
        sdk.import_image(archive, tag, changes)
    except RefusedError as refused:
        raise ImageError(
            f"image {tag} cannot be imported from {archive}: {refused.text}"
        ) from refused
    return _as_info(tag, sdk.inspect_image(tag))
