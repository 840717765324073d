"""Checks that an engine's answers have the form that benchdock reads.

`sdk` turns the errors raised here (KeyError, TypeError, ValueError) into a refusal: an engine, or a
proxy in front of it, may answer anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

Json = dict[str, Any]
Kind = TypeVar("Kind")


def of_kind(value: object, kind: type[Kind], name: str) -> Kind:
    """Return a value of the given kind. Raises TypeError; a bool is not a number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return value


def member(parent: Json, name: str, kind: type[Kind]) -> Kind:
    """Return a member of an object. Raises KeyError, TypeError."""
    return of_kind(parent[name], kind, name)


def optional(parent: Json, name: str, kind: type[Kind]) -> Kind | None:
    """Return a member that may be missing or null. Raises TypeError."""
    value = parent.get(name)
    return None if value is None else of_kind(value, kind, name)


def items(values: object, kind: type[Kind], name: str) -> list[Kind]:
    """Return a list whose items are all of one kind; null is empty. Raises TypeError."""
    found = [] if values is None else of_kind(values, list, name)
    return [of_kind(value, kind, f"an item of {name}") for value in found]


def texts(parent: Json, name: str) -> dict[str, str]:
    """Return a member that maps strings to strings; null is empty. Raises TypeError."""
    found = optional(parent, name, dict) or {}
    for value in found.values():
        of_kind(value, str, f"an item of {name}")
    return found


def created(answer: object) -> tuple[str, tuple[str, ...]]:
    """Return a new container's id and the engine's warnings."""
    found = of_kind(answer, dict, "the answer")
    return member(found, "Id", str), tuple(items(found.get("Warnings"), str, "Warnings"))


def container(answer: object) -> Json:
    """Return what an engine knows about a container, with state and requests checked."""
    found = of_kind(answer, dict, "the answer")
    state = member(found, "State", dict)
    member(state, "Running", bool)
    member(state, "ExitCode", int)
    optional(state, "OOMKilled", bool)
    optional(state, "Error", str)
    optional(state, "Pid", int)
    for request in items(member(found, "HostConfig", dict).get("DeviceRequests"), dict, "requests"):
        items(request.get("DeviceIDs"), str, "DeviceIDs")
    return found


def containers(answer: object) -> list[Json]:
    """Return a list of containers, with everything that benchdock reads checked."""
    found = items(answer, dict, "the answer")
    for one in found:
        member(one, "Id", str)
        member(one, "State", str)
        optional(one, "ImageID", str)
        texts(one, "Labels")
        items(one.get("Names"), str, "Names")
    return found


def image(answer: object) -> Json:
    """Return what an engine knows about an image, with everything that benchdock reads checked."""
    found = of_kind(answer, dict, "the answer")
    member(found, "Id", str)
    member(found, "Size", int)
    for name in ("RepoDigests", "RepoTags"):
        items(found.get(name), str, name)
    config = optional(found, "Config", dict) or {}
    texts(config, "Labels")
    items(config.get("Env"), str, "Env")
    items(config.get("Entrypoint"), str, "Entrypoint")
    items((optional(found, "RootFS", dict) or {}).get("Layers"), str, "Layers")
    return found


def images(answer: object) -> list[Json]:
    """Return a list of images, with everything that benchdock reads checked."""
    found = items(answer, dict, "the answer")
    for one in found:
        member(one, "Id", str)
        for name in ("Size", "Created"):
            member(one, name, int)
        optional(one, "ParentId", str)
        items(one.get("RepoTags"), str, "RepoTags")
        texts(one, "Labels")
    return found


def steps(answer: object) -> list[Json]:
    """Return the steps of a build, with everything that benchdock reads checked."""
    found = items(answer, dict, "the answer")
    for one in found:
        optional(one, "CreatedBy", str)
    return found


def digest(answer: object) -> str:
    """Return the digest that a registry has for a reference."""
    found = member(of_kind(answer, dict, "the answer"), "Descriptor", dict)
    told = member(found, "digest", str)
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", told):
        raise ValueError(f"the digest is {told!r}")
    return told


def event(answer: object) -> Json:
    """Return an event of a pull or a build, with everything that benchdock reads checked."""
    found = of_kind(answer, dict, "an event")
    for name in ("error", "status", "id", "stream"):
        optional(found, name, str)
    detail = optional(found, "progressDetail", dict) or {}
    for name in ("current", "total"):
        optional(detail, name, int)
    return found


def engine(answer: object) -> Json:
    """Return an engine's description of itself, with everything that benchdock reads checked."""
    found = of_kind(answer, dict, "the answer")
    texts_of = ("ServerVersion", "Driver", "DockerRootDir", "OperatingSystem")
    for name in texts_of:
        optional(found, name, str)
    for name in ("NCPU", "MemTotal"):
        optional(found, name, int)
    optional(found, "Runtimes", dict)
    for device in items(found.get("DiscoveredDevices"), dict, "DiscoveredDevices"):
        optional(device, "ID", str)
    for name in ("SecurityOptions", "Warnings"):
        items(found.get(name), str, name)
    return found


def components(answer: object) -> list[Json]:
    """Return the components of an engine."""
    found = items(of_kind(answer, dict, "the answer").get("Components"), dict, "Components")
    for part in found:
        optional(part, "Name", str)
    return found


def all_events(answers: Iterable[object]) -> Iterable[Json]:
    """Check events as they come."""
    return map(event, answers)
