"""Finds the differences between two results' conditions, most important first.

The order of `_FACTS` is the ranking: a network matters more than a batch, a batch more than a
driver, a driver more than a load average.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.images import digests
from orchestrator.plan import Plan
from orchestrator.result import Result
from orchestrator.units import quantity

GROUPS = ("network", "work", "program", "hardware", "image", "system", "settings", "state")
# Differences in the monitor's figures are reported from this share on, or these many degrees.
_NOTEWORTHY = 0.10
_LONGEST = 200

Read = Callable[[Result], object]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One fact that differs; `before` and `after` are text for the user.

    `follows` names another change that explains this one: then it is not an independent variable.
    """

    group: str
    name: str
    before: str
    after: str
    follows: str = ""


@dataclass(frozen=True, kw_only=True)
class _Fact:
    group: str
    name: str
    read: Read
    unit: str | None = None
    follows: tuple[str, ...] = ()
    # What is compared, if it is not what is shown.
    key: Callable[[Any], object] = lambda found: found


def _dig(value: object, *keys: str) -> Any:
    """Follow keys through mappings that some version of benchdock wrote; None if they end."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _plan(name: str) -> Read:
    return lambda result: getattr(result.plan, name) if result.plan else None


def _either(in_plan: str, in_program: str) -> Read:
    """Read from the plan, else from the program's own report."""

    def read(result: Result) -> object:
        found = getattr(result.plan, in_plan) if result.plan else None
        return found if found is not None else result.program.get(in_program)

    return read


def _asked(name: str) -> Read:
    return lambda result: getattr(result.request, name) if result.request else None


def _environment(*keys: str) -> Read:
    return lambda result: _dig(result.environment, *keys)


def _program(name: str) -> Read:
    return lambda result: result.program.get(name)


def _gpus(name: str) -> Read:
    """Read a property of the GPUs that were used, in order."""

    def read(result: Result) -> object:
        if result.plan is None or result.plan.device == "cpu":
            return None
        there = _dig(result.environment, "gpu", "gpus")
        listed = [one for one in there if isinstance(one, Mapping)] if _is_list(there) else []
        used = [one for one in listed if one.get("uuid") in result.plan.gpus] or listed
        return [one.get(name) for one in used] or None

    return read


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _data(result: Result) -> object:
    if result.request is None:
        return None
    return str(result.request.data) if result.request.data else "synthetic"


def _program_folder(result: Result) -> object:
    """Return the contents of the program's folder, if recorded."""
    found = result.plan.source if result.plan else None
    return found if found is not None and found.identity is not None else None


def _prefix(result: Result) -> object:
    return (shlex.join(result.plan.prefix) or "none") if result.plan else None


def _network(result: Result) -> object:
    """Return the container's network; the host runtime uses that of the machine."""
    return result.plan.network if result.plan and result.plan.runtime == "docker" else None


def _source(result: Result) -> object:
    """Return the path of the program's folder if nothing better is known about it."""
    return None if _program_folder(result) else _asked("source")(result)


_MACHINE = ("machine", "GPU", "CPU")
_PLACE = ("device", "runtime", "framework", "image")

_FACTS: tuple[_Fact, ...] = (
    _Fact(group="network", name="model", read=_either("model", "model")),
    _Fact(
        group="network", name="fingerprint", read=lambda r: r.fingerprint, follows=("model",)
    ),
    _Fact(group="work", name="phase", read=_either("phase", "phase")),
    _Fact(group="work", name="dtype", read=_either("dtype", "dtype")),
    _Fact(group="work", name="device", read=_either("device", "device")),
    _Fact(
        group="work",
        name="device count",
        read=_either("device_count", "devices"),
        follows=("device",),
    ),
    _Fact(group="work", name="batch", read=_either("batch", "batch"), unit="per device"),
    _Fact(group="work", name="data", read=_data),
    _Fact(group="program", name="framework", read=_either("framework", "framework")),
    _Fact(
        group="program", name="program", read=_either("program", "program"), follows=("framework",)
    ),
    _Fact(
        group="program", name="program's folder", read=_program_folder, follows=("framework",),
        key=lambda found: found.identity,
    ),
    _Fact(group="program", name="source", read=_source, follows=("framework",)),
    _Fact(group="program", name="command", read=_asked("command"), follows=("framework",)),
    _Fact(
        group="program",
        name="framework version",
        read=lambda r: r.framework_version,
        follows=("framework", "image", "image id", "runtime", "device"),
    ),
    _Fact(
        group="program",
        name="threads",
        read=_program("threads"),
        follows=("device", "usable CPUs", "machine"),
    ),
    _Fact(
        group="program", name="timing", read=_program("timing"), follows=("framework", "device")
    ),
    _Fact(group="hardware", name="machine", read=_environment("hostname")),
    _Fact(group="hardware", name="GPU", read=_gpus("name"), follows=("device", "device count")),
    _Fact(
        group="hardware", name="GPU power limit", read=_gpus("power_limit"), unit="W",
        follows=("GPU",),
    ),
    _Fact(
        group="hardware", name="GPU top clock", read=_gpus("sm_clock_max"), unit="MHz",
        follows=("GPU",),
    ),
    _Fact(group="hardware", name="ECC", read=_gpus("ecc"), follows=("GPU",)),
    _Fact(group="hardware", name="MIG", read=_gpus("mig"), follows=("GPU",)),
    _Fact(
        group="hardware", name="CPU", read=_environment("cpu", "model"), follows=("machine",)
    ),
    _Fact(
        group="hardware", name="usable CPUs", read=_environment("cpu", "affinity"),
        follows=("machine",),
    ),
    _Fact(
        group="hardware", name="instruction sets", follows=_MACHINE,
        read=_environment("cpu", "instruction_sets"),
    ),
    _Fact(group="hardware", name="SMT", read=_environment("cpu", "smt"), follows=_MACHINE),
    _Fact(
        group="hardware", name="memory", read=_environment("memory_total"), unit="bytes",
        follows=_MACHINE,
    ),
    _Fact(
        group="hardware", name="virtualised", read=_environment("virtualised"), follows=_MACHINE
    ),
    _Fact(group="image", name="runtime", read=_plan("runtime")),
    _Fact(
        group="image", name="image", read=_plan("image"), key=digests.readable,
        follows=("runtime", "framework", "device"),
    ),
    _Fact(group="image", name="image id", read=_plan("image_id"), follows=_PLACE),
    _Fact(
        group="image", name="image digest", read=_plan("image_digest"),
        follows=(*_PLACE, "image id"),
    ),
    _Fact(
        group="image", name="image release", read=_environment("container", "release"),
        follows=(*_PLACE, "image id"),
    ),
    _Fact(
        group="system", name="GPU driver", read=_environment("gpu", "driver"), follows=("machine",)
    ),
    _Fact(
        group="system", name="CUDA of the driver", read=_environment("gpu", "cuda"),
        follows=("machine", "GPU driver"),
    ),
    _Fact(group="system", name="benchdock", read=_environment("benchdock")),
    _Fact(
        group="system", name="benchdock commit", read=_environment("commit"),
        follows=("benchdock",),
    ),
    _Fact(group="system", name="uncommitted changes", read=_environment("dirty")),
    _Fact(
        group="system", name="CPU governor", read=_environment("cpu", "governors"),
        follows=("machine",),
    ),
    _Fact(
        group="system", name="CPU turbo", read=_environment("cpu", "turbo"), follows=("machine",)
    ),
    _Fact(group="system", name="kernel", read=_environment("kernel"), follows=("machine",)),
    _Fact(
        group="system", name="operating system", read=_environment("os"), follows=("machine",)
    ),
    _Fact(
        group="system", name="Python of the host", read=_environment("python"),
        follows=("machine",),
    ),
    _Fact(group="settings", name="steps", read=_plan("steps"), follows=("device",)),
    _Fact(group="settings", name="warm-up", read=_plan("warmup"), follows=("device", "steps")),
    _Fact(group="settings", name="seed", read=_asked("seed")),
    _Fact(group="settings", name="prefix", read=_prefix),
    _Fact(group="settings", name="container network", read=_network, follows=("runtime",)),
    _Fact(
        group="settings", name="GPU ids", read=_plan("gpus"),
        follows=("machine", "device", "device count", "GPU"),
    ),
    _Fact(group="settings", name="capabilities", read=_plan("capabilities"), follows=_PLACE),
)  # fmt: skip


def differences(a: Result, b: Result) -> tuple[Change, ...]:
    """Return what differs, most important first."""
    found = [*_facts(a, b)]
    found += _settings(a, b)
    changed = {change.name for change in found}
    resolved = [_explained(change, changed) for change in found]
    resolved += _options(a, b, resolved)
    resolved += _script(a, b, resolved)
    resolved += _seen(a, b)
    # sorted() is stable: the order of the tables is kept within a group.
    return tuple(sorted(resolved, key=lambda change: GROUPS.index(change.group)))


def unrecorded(a: Result, b: Result) -> tuple[str, ...]:
    """Name the facts that only one of the two results records."""
    pairs = ((fact.name, _value(fact, a), _value(fact, b)) for fact in _FACTS)
    return tuple(name for name, one, other in pairs if (one is None) != (other is None))


def _value(fact: _Fact, result: Result) -> object:
    found = fact.read(result)
    return None if found in ((), [], "") else found


def _facts(a: Result, b: Result) -> Iterator[Change]:
    for fact in _FACTS:
        before, after = _value(fact, a), _value(fact, b)
        if before is None or after is None or fact.key(before) == fact.key(after):
            continue
        yield Change(
            group=fact.group,
            name=fact.name,
            before=_written(before, fact.unit),
            after=_written(after, fact.unit),
        )


_FOLLOWS: Mapping[str, tuple[str, ...]] = {fact.name: fact.follows for fact in _FACTS}


def _explained(change: Change, changed: Collection[str]) -> Change:
    cause = next((name for name in _FOLLOWS.get(change.name, ()) if name in changed), "")
    return Change(**{**vars(change), "follows": cause}) if cause else change


def _settings(a: Result, b: Result) -> Iterator[Change]:
    """Yield the differences in environment variables and limits, one line each."""
    if a.plan is None or b.plan is None:
        return
    for name, one, other in (
        ("variable", a.plan.environment, b.plan.environment),
        ("limit", _limits(a.plan), _limits(b.plan)),
    ):
        yield from _of_mappings("settings", name, one, other)


def _limits(plan: Plan) -> dict[str, object]:
    return plan.limits.model_dump(mode="json", exclude={"ulimits"}) | {
        f"ulimit {one.name}": f"{one.soft}:{one.hard}" for one in plan.limits.ulimits
    }


def _options(a: Result, b: Result, changes: Collection[Change]) -> Iterator[Change]:
    """Yield the differences in the program's options: as used, else as requested.

    An option that nobody requested is the program's choice, which follows from something else.
    """
    asked = [_dig(vars(r.request), "options") or {} if r.request else {} for r in (a, b)]
    used = [_dig(r.program, "options") for r in (a, b)]
    cause = next(
        (c.name for c in changes if c.group in ("work", "program", "hardware", "image")), ""
    )
    if isinstance(used[0], Mapping) and isinstance(used[1], Mapping):
        for change in _of_mappings("program", "option", used[0], used[1]):
            key = change.name.partition(" ")[2]
            by_request = asked[0].get(key) != asked[1].get(key)
            yield change if by_request else Change(**{**vars(change), "follows": cause})
        asked = [
            {k: v for k, v in o.items() if k not in u} for o, u in zip(asked, used, strict=True)
        ]
    yield from _of_mappings("program", "option", asked[0], asked[1])


def _of_mappings(
    group: str, name: str, one: Mapping[str, object], other: Mapping[str, object]
) -> Iterator[Change]:
    for key in sorted({*map(str, one), *map(str, other)}):
        before, after = one.get(key), other.get(key)
        if before != after:
            yield Change(
                group=group,
                name=f"{name} {key}",
                before=_written(before),
                after=_written(after),
            )


def _script(a: Result, b: Result, changes: Collection[Change]) -> Iterator[Change]:
    """Yield the launcher script if it differs and nothing else explains that."""
    if a.plan is None or b.plan is None:
        return
    one, other = (normal_script(result.plan, result.run) for result in (a, b) if result.plan)
    if one == other:
        return
    telling = ("network", "work", "program", "image", "settings")
    cause = next((change.name for change in changes if change.group in telling), "")
    lines = len(set(one.splitlines()) ^ set(other.splitlines()))
    yield Change(
        group="settings",
        name="launcher script",
        before="-",
        after=f"{lines} lines differ",
        follows=cause,
    )


_COMMENT = re.compile(r"^#(?!!).*\n", re.MULTILINE)
_VENV = re.compile(r"\S*/venvs/([^/\s]+)/bin/python")


def normal_script(plan: Plan, run: str | None) -> str:
    """Return a plan's script without what identifies this run: its id, folder and comments."""
    script = _COMMENT.sub("", plan.script)
    folder = plan.argv[-1].rpartition("/")[0] if plan.argv else ""
    for word, put in ((folder, "RUN"), (run or "", "RUN")):
        script = script.replace(word, put) if word else script
    return _VENV.sub(r"VENVS/\1/bin/python", script)


def _seen(a: Result, b: Result) -> Iterator[Change]:
    """Yield the monitor's means that differ noticeably."""
    for name in sorted(a.monitor.keys() & b.monitor.keys()):
        one, other = a.monitor[name], b.monitor[name]
        if one.unit != other.unit or not name.endswith(".mean"):
            continue
        if abs(other.value - one.value) > _NOTEWORTHY * max(abs(one.value), abs(other.value), 1):
            yield Change(
                group="state",
                name=name.removesuffix(".mean"),
                before=quantity(one.value, one.unit),
                after=quantity(other.value, other.unit),
            )


def _written(value: object, unit: str | None = None) -> str:
    if value is None:
        return "-"
    if _is_list(value):
        parts = [_written(one, unit) for one in value]  # type: ignore[attr-defined]
        text = " ".join(parts) if len(set(parts)) > 1 else (parts or ["-"])[0]
        text = f"{len(parts)} x {text}" if len(set(parts)) == 1 and len(parts) > 1 else text
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, (int, float)) and unit:
        text = quantity(value, unit) if unit != "per device" else f"{value} {unit}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
