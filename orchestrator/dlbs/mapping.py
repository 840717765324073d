"""Turns one benchmark of DLBS into the keys of a run, and names what has no counterpart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.dlbs import networks
from orchestrator.dlbs.configuration import VAR_ORDER, Value
from orchestrator.dlbs.expansion import Benchmark
from orchestrator.dlbs.json_text import shown
from orchestrator.dlbs.networks import NotHere
from orchestrator.dlbs.references import References, Unresolved
from orchestrator.errors import quoted
from orchestrator.request import LARGEST_BATCH

OFF = ("disabled", "inactive", "simulate")
_ENV = "runtime.env."
_DTYPES = {"float": "float32", "float32": "float32", "float16": "float16", "int8": "int8"}
_PHASES = ("training", "inference")
_GPUS = re.compile(r"[0-9]+(,[0-9]+)*", re.ASCII)
_WORDS = {"true": True, "on": True, "1": True, "yes": True}
_WORDS |= {"false": False, "off": False, "0": False, "no": False}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)
_TAG = re.compile("[^a-z0-9]+")
# They describe a benchmark or its machine and change nothing.
_LABELS = ("exp.proj", "exp.node_id")
_LABELLED = re.compile(r"exp\.\w+_title|comments\.[\w.]+", re.ASCII)
# Resuming goes by a run's contents, and the monitor is always on.
_WITHOUT_EFFECT = (
    *("exp.log_file", "exp.rerun", "exp.id", "exp.status", "exp.status_msg", "exp.sys_info"),
    *("exp.ignore_past_errors", "exp.framework_ver", "exp.framework_commit", VAR_ORDER),
    *("exp.trial", "exp.device_type", "exp.data", "exp.data_store", "exp.framework_family"),
)
_MONITOR = "monitor."


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """The keys of a run as a suite file has them, its tags, and what was not carried over.

    `left_out` are parameters without a counterpart that may change the measurement; `notes` are
    sentences about the run.
    """

    keys: Mapping[str, Any]
    tags: tuple[str, ...]
    left_out: Mapping[str, Value]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A benchmark with the names that the configuration sets, and its resolved values."""

    benchmark: Benchmark
    set_: frozenset[str]
    values: References

    def get(self, name: str) -> Value:
        """Return a value. Raises NotHere if it cannot be known."""
        try:
            return self.values.value(name)
        except Unresolved as error:
            raise NotHere(str(error)) from None

    def text(self, name: str) -> str:
        """Return a value as text; "" if it is not set."""
        value = self.get(name) if name in self.set_ and name in self.benchmark else ""
        return "" if value is None else str(value).strip()

    def number(self, name: str) -> int:
        """Return a whole number, DLBS's default if it is not set."""
        value = self.get(name)
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}(\.0)?", text, re.ASCII):
            raise NotHere(f"{name} is {shown(value)}, not a whole number")
        return int(float(text))


def mapped(benchmark: Benchmark, set_: frozenset[str], environment: Mapping[str, str]) -> Mapped:
    """Map a benchmark; `set_` are the names that its configuration sets.

    Raises NotHere if it cannot be carried over.
    """
    known = {"exp.framework_family": family(benchmark)} | (
        {"exp.framework_family": benchmark["exp.framework_family"]}
        if "exp.framework_family" in set_
        else {}
    )
    values = References(benchmark | known, environment)
    source = _Source(benchmark=benchmark, set_=set_, values=values)
    keys = {name: value for name, value in _keys(source) if value not in (None, "")}
    program, model = str(keys["framework"]), source.text("exp.model")
    tags = _tags(source)
    return Mapped(
        keys=keys,
        tags=tags,
        left_out=_left_out(source),
        notes=tuple(filter(None, [networks.difference(program, model)])),
    )


def family(benchmark: Benchmark) -> str:
    """Return DLBS's name for a framework's family: all forks of Caffe are one."""
    name = str(benchmark.get("exp.framework", ""))
    return "caffe" if name.endswith("_caffe") else name


def _keys(source: _Source) -> list[tuple[str, Any]]:
    program = networks.framework(source.text("exp.framework"))
    environment, prefix = _launcher(source)
    makers: tuple[tuple[str, Callable[[_Source], Any]], ...] = (
        ("phase", lambda one: _one_of(one, "exp.phase", {word: word for word in _PHASES})),
        ("dtype", lambda one: _one_of(one, "exp.dtype", _DTYPES)),
        ("batch", _batch),
        ("gpus", _gpus),
        ("steps", lambda one: one.number("exp.num_batches")),
        ("warmup", lambda one: one.number("exp.num_warmup_batches")),
        ("data", lambda one: _of_family(one, "data_dir")),
        ("image", _image),
        ("runtime", _runtime),
    )
    return [
        ("model", networks.network(program, source.text("exp.model"))),
        ("framework", program),
        *((name, make(source)) for name, make in makers),
        ("env", environment or None),
        ("prefix", prefix),
    ]


def _one_of(source: _Source, name: str, known: Mapping[str, str]) -> str:
    value = source.get(name)
    if not isinstance(value, str) or value not in known:
        raise NotHere(f"{name} is {shown(value)}; DLBS knows {', '.join(known)}")
    return known[value]


def _devices(source: _Source) -> int:
    return max(1, str(source.get("exp.gpus")).count(",") + 1)


def _gpus(source: _Source) -> Any:
    """Return the GPUs; None if the configuration does not choose any."""
    if source.number("exp.num_nodes") != 1:
        raise NotHere(f"exp.num_nodes is {source.number('exp.num_nodes')}: one node is supported")
    if "exp.gpus" not in source.set_:
        return None
    text = source.text("exp.gpus").replace(" ", "")
    if not text:
        return "none"
    if ":" in text:
        raise NotHere(f"exp.gpus is {quoted(text)}: several GPUs per replica are not supported")
    if not _GPUS.fullmatch(text):
        raise NotHere(f"exp.gpus is {quoted(text)}, not GPU indices such as 0,1")
    indices = [int(word) for word in text.split(",")]
    if len(set(indices)) < len(indices):
        raise NotHere(f"exp.gpus is {quoted(text)}, which names a GPU twice")
    return indices[0] if len(indices) == 1 else indices


def _batch(source: _Source) -> int:
    """Return the batch per device, from that of all devices if only that is set."""
    batch = source.number("exp.replica_batch")
    if "exp.effective_batch" in source.set_:
        whole, devices = source.number("exp.effective_batch"), _devices(source)
        if whole % devices:
            raise NotHere(f"exp.effective_batch {whole} cannot be divided among {devices} devices")
        if "exp.replica_batch" in source.set_ and batch != whole // devices:
            raise NotHere(
                f"exp.replica_batch {batch} on {devices} devices is not exp.effective_batch {whole}"
            )
        batch = whole // devices
    if not 0 < batch <= LARGEST_BATCH:
        raise NotHere(f"the batch is {batch:,}; use 1 to {LARGEST_BATCH:,}")
    return batch


def _of_family(source: _Source, what: str) -> str:
    """Return a value of the benchmark, or the one of its framework's family."""
    own = source.text(f"exp.{what}")
    return own or source.text(f"{family(source.benchmark)}.{what}") or _of_fork(source, what)


def _of_fork(source: _Source, what: str) -> str:
    return source.text(f"{source.text('exp.framework')}.{what}")


def _image(source: _Source) -> str:
    return _of_family(source, "docker_image")


def _runtime(source: _Source) -> str:
    if "exp.docker" not in source.set_:
        return ""
    value = source.get("exp.docker")
    word = _WORDS.get(str(value).lower())
    if word is None:
        raise NotHere(f"exp.docker is {shown(value)}, not true or false")
    return "docker" if word else "host"


def _launcher(source: _Source) -> tuple[dict[str, str], str]:
    """Return the variables and the prefix of `runtime.launcher` and `runtime.env.NAME`."""
    environment = {
        name.removeprefix(_ENV): source.text(name)
        for name in source.benchmark
        if name.startswith(_ENV) and name in source.set_
    }
    text = source.text("runtime.launcher")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise NotHere(f"runtime.launcher is {quoted(text)}: {error}") from None
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    return environment, shlex.join(words)


def is_not_needed(name: str) -> bool:
    """Whether a parameter has no effect on a measurement here."""
    return name in _WITHOUT_EFFECT or name.startswith(_MONITOR)


def _is_label(name: str) -> bool:
    return name in _LABELS or _LABELLED.fullmatch(name) is not None


def _tags(source: _Source) -> tuple[str, ...]:
    """Return the labels that the configuration sets, as words of a suite file."""
    found = []
    for name in source.benchmark:
        if name not in source.set_ or not _is_label(name):
            continue
        try:
            found.append(_TAG.sub("-", source.text(name).lower())[:40].strip("-"))
        except NotHere:  # a title that DLBS computes
            continue
    return tuple(dict.fromkeys(filter(None, found)))


def _left_out(source: _Source) -> dict[str, Value]:
    """Return what is set, was not used, and may matter."""
    return {
        name: value
        for name, value in source.benchmark.items()
        if name in source.set_
        and name not in source.values.used
        and not is_not_needed(name)
        and not _is_label(name)
        and not _of_another(name, source)
    }


def _of_another(name: str, source: _Source) -> bool:
    """Whether a parameter is the data or the image of another framework."""
    first, _, last = name.rpartition(".")
    if last not in ("data_dir", "docker_image") or not first:
        return False
    return first not in ("exp", family(source.benchmark), source.text("exp.framework"))
