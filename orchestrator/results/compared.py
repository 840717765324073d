"""The facts that `benchdock compare` shows, and where a result has them.

Facts about the machine, the image and the program are those of their records that have a label;
what the request and the plan say is listed here. The order is the ranking within a group.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator import facts
from orchestrator.facts import Fact, Group
from orchestrator.images import digests
from orchestrator.plan import Interpreter
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Environment, Result

Read = Callable[[Result], object]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A fact of a result. `follows` names others whose change explains a change of this one."""

    group: Group
    name: str
    read: Read
    unit: str = ""
    follows: tuple[str, ...] = ()
    # What is compared, if it is not what is shown.
    key: Callable[[Any], object] = lambda found: found

    def value(self, result: Result) -> object:
        """Return the value, None if a result does not record it."""
        found = self.read(result)
        return None if found in ((), [], "") else found


def _recorded(fact: Fact, read: Read) -> Compared:
    return Compared(
        group=fact.group, name=fact.label, read=read, unit=fact.unit, follows=fact.follows
    )


def _of_program(*, planned: bool) -> Iterator[Compared]:
    for (name,), fact in facts.registry(ProgramFacts):
        if fact.label and bool(fact.planned) == planned:
            yield _recorded(fact, _either(fact.planned, name))


def _either(in_plan: str, in_program: str) -> Read:
    """Read from the plan, else from the program's own report."""

    def read(result: Result) -> object:
        found = getattr(result.plan, in_plan) if result.plan and in_plan else None
        return found if found is not None else getattr(result.program, in_program)

    return read


def _of_environment() -> Iterator[Compared]:
    for path, fact in facts.registry(Environment):
        if fact.label:
            yield _recorded(fact, _gpus(path[-1]) if "gpus" in path else _environment(path))


def _environment(path: tuple[str, ...]) -> Read:
    return lambda result: facts.at(result.environment, path)


def _gpus(name: str) -> Read:
    """Read a property of the GPUs that were used, in order."""

    def read(result: Result) -> object:
        if result.plan is None or result.plan.device == "cpu":
            return None
        listed = result.environment.gpus
        used = [one for one in listed if one.uuid in result.plan.gpus] or listed
        return [getattr(one, name) for one in used] or None

    return read


def _plan(name: str) -> Read:
    return lambda result: getattr(result.plan, name) if result.plan else None


def _asked(name: str) -> Read:
    return lambda result: getattr(result.request, name) if result.request else None


def _data(result: Result) -> object:
    if result.request is None:
        return None
    return str(result.request.data) if result.request.data else "synthetic"


def _program_folder(result: Result) -> object:
    """Return the contents of the program's folder, if recorded."""
    found = result.plan.source if result.plan else None
    return found if found is not None and found.identity is not None else None


def _source(result: Result) -> object:
    """Return the path of the program's folder if nothing better is known about it."""
    return None if _program_folder(result) else _asked("source")(result)


def _prefix(result: Result) -> object:
    return (shlex.join(result.plan.prefix) or "none") if result.plan else None


def _network(result: Result) -> object:
    """Return the container's network; the host runtime uses that of the machine."""
    return result.plan.network if result.plan and result.plan.in_container else None


def _python(found: Interpreter) -> object:
    """Return what makes a user's Python another one: not how many packages it has."""
    return (found.path, found.version, found.package, found.package_version, found.digest)


_PLACE = ("device", "runtime", "framework", "image")

FACTS: tuple[Compared, ...] = (
    *_of_program(planned=True),
    Compared(
        group="network", name="fingerprint", read=lambda r: r.fingerprint, follows=("model",)
    ),
    Compared(group="work", name="data", read=_data),
    Compared(group="work", name="measured part", read=_asked("measure")),
    Compared(
        group="work", name="data's contents", read=_plan("data"), key=lambda found: found.digest
    ),
    Compared(
        group="program", name="program's folder", read=_program_folder, follows=("framework",),
        key=lambda found: found.identity,
    ),
    Compared(group="program", name="source", read=_source, follows=("framework",)),
    Compared(group="program", name="command", read=_asked("command"), follows=("framework",)),
    Compared(
        group="program", name="framework version", read=lambda r: r.framework_version,
        follows=("framework", "image", "image id", "runtime", "Python", "device"),
    ),
    *_of_program(planned=False),
    Compared(group="image", name="runtime", read=_plan("runtime")),
    Compared(
        group="image", name="image", read=_plan("image"), key=digests.readable,
        follows=("runtime", "framework", "device"),
    ),
    Compared(group="image", name="image id", read=_plan("image_id"), follows=_PLACE),
    Compared(
        group="image", name="image digest", read=_plan("image_digest"),
        follows=(*_PLACE, "image id"),
    ),
    Compared(
        group="image", name="Python", read=_plan("interpreter"), key=_python,
        follows=("runtime", "framework"),
    ),
    *_of_environment(),
    Compared(group="settings", name="steps", read=_plan("steps"), follows=("device",)),
    Compared(
        group="settings", name="warm-up", read=_plan("warmup"), follows=("device", "steps")
    ),
    Compared(group="settings", name="seed", read=_asked("seed")),
    Compared(group="settings", name="prefix", read=_prefix),
    Compared(
        group="settings", name="container network", read=_network, follows=("runtime",)
    ),
    Compared(
        group="settings", name="GPU ids", read=_plan("gpus"),
        follows=("machine", "device", "device count", "GPU"),
    ),
    Compared(group="settings", name="capabilities", read=_plan("capabilities"), follows=_PLACE),
)  # fmt: skip
