"""What somebody else's request would do beyond a normal benchmark; the user must allow it.

A bundle, a result or a claim may come from a stranger. Of these benchdock runs without questions
only benchmarks that it describes itself: a framework of its table, in an image of its tables, on
synthetic data, in a container. Anything else that a request names needs `--trust`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from orchestrator.errors import RequestError, quoted
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import OF_BENCHDOCK, Option
from orchestrator.images import image_table
from orchestrator.images.reference import parse_reference
from orchestrator.request import Request, RuntimeChoice
from orchestrator.vendor_images import vendor_table

OPTION = "--trust"

# Fields that only choose among what benchdock itself describes, are numbers, or limit a run. Any
# other field needs trust, also one that a later version adds.
HARMLESS = frozenset(
    {
        "schema_version", "model", "framework", "phase", "dtype", "batch", "gpus", "devices",
        "ranks",
        "steps", "warmup", "timeout", "first_output_timeout", "silence_timeout", "memory", "pids",
        "shm_size", "threads", "seed", "measure", "pattern", "unit", "estimator",
    }
)  # fmt: skip

_LESS_ISOLATED = (RuntimeChoice.APPTAINER, RuntimeChoice.SRUN)

# A number, a word or a path below the current folder; not a flag, and no way out of that folder.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_+:,]|\.(?!\.))(?:[A-Za-z0-9_+:,/-]|\.(?!\.))*", re.ASCII)


def asks(
    request: Request, *, image: str | None = None, digest: str | None = None
) -> tuple[str, ...]:
    """Return what needs trust, in words that follow "it would".

    `image` is what a stored plan names beside the request, `digest` its digest in the registry.
    """
    found = [
        text
        for field in type(request).model_fields
        if field not in HARMLESS and _is_given(request, field)
        for text in _WORDS.get(field, _any)(request, field)
    ]
    if image is not None and image != request.image:
        found += _image(image, digest)
    return tuple(found)


def refusal(name: str, found: tuple[str, ...], *, see: str) -> RequestError:
    """Build the error for what was not allowed; `see` is the command that shows all of it."""
    return RequestError(
        f"{name} may come from a stranger, and it would {'; '.join(found)}",
        hint=f"run `{see}` to see what would run; add {OPTION} if you trust its author",
    )


def _is_given(request: Request, field: str) -> bool:
    about = type(request).model_fields[field]
    return bool(getattr(request, field) != about.get_default(call_default_factory=True))


def _runtime(request: Request, _: str) -> Iterator[str]:
    if request.runtime is RuntimeChoice.HOST:
        yield "run on this host, outside of any container"
    elif request.runtime in _LESS_ISOLATED:
        yield f"run in a container of {request.runtime}, which has this machine's network"


def _command(request: Request, _: str) -> Iterator[str]:
    yield f"start the command {quoted(request.command or '')}"


def _path(request: Request, field: str) -> Iterator[str]:
    what = {"data": "folder", "source": "program's folder", "model_file": "file"}[field]
    yield f"read the {what} {quoted(str(getattr(request, field)))} of this machine"


def _asked_image(request: Request, _: str) -> Iterator[str]:
    if request.image is not None:
        yield from _image(request.image, None)


def _image(reference: str, digest: str | None) -> Iterator[str]:
    """Yield that an image is in none of benchdock's tables.

    Our images are built here: an image of that name in a registry is somebody else's.
    """
    image = image_table.load().image_of_tag(reference)
    known = _of_vendor(reference) if image is None else image.source == "vendor" or digest is None
    if not known:
        what = f"{reference}@{digest}" if digest else reference
        yield f"run the image {quoted(what)}"


def _of_vendor(reference: str) -> bool:
    """Whether an image is in a repository that benchdock knows; a mirror of it belongs to somebody
    else.
    """
    try:
        named = parse_reference(reference)
    except RequestError:
        return False
    return any(
        named.name == family.repository for family in vendor_table.shipped().families.values()
    )


def _options(request: Request, _: str) -> Iterator[str]:
    """Yield the options that are not of a closed set, a number or a plain word."""
    framework = catalogue.framework(request.framework)
    for name, text in request.options.items():
        if not _is_plain(framework.options.get(name) or OF_BENCHDOCK.get(name), text):
            yield f"give the program {quoted(f'--option {name}={text}')}"


def _is_plain(option: Option | None, text: str) -> bool:
    """Whether a value can only choose; flags that are passed on have no `option`."""
    if option is None:
        return False
    return text in (*option.values, option.default) or _PLAIN.fullmatch(text) is not None


def _env(request: Request, _: str) -> Iterator[str]:
    for name, text in request.env.items():
        yield f"set the variable {quoted(f'{name}={text}')}"


def _prefix(request: Request, _: str) -> Iterator[str]:
    yield f"start the program with {quoted(request.prefix or '')}"


def _python(request: Request, _: str) -> Iterator[str]:
    yield f"start the Python {quoted(str(request.python))} of this machine"


def _network(request: Request, _: str) -> Iterator[str]:
    yield f"use the engine's network {quoted(request.network or '')}"


def _as_root(*_: object) -> Iterator[str]:
    yield "run as root in its container"


def _any(request: Request, field: str) -> Iterator[str]:
    yield f"set {field.replace('_', '-')} to {quoted(str(getattr(request, field)))}"


_WORDS: Mapping[str, Callable[[Request, str], Iterator[str]]] = {
    "runtime": _runtime,
    "command": _command,
    "data": _path,
    "source": _path,
    "model_file": _path,
    "image": _asked_image,
    "options": _options,
    "env": _env,
    "prefix": _prefix,
    "network": _network,
    "python": _python,
    "as_root": _as_root,
}
