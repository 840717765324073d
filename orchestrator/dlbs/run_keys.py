"""The keys of a run for one benchmark of DLBS."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.dlbs import networks
from orchestrator.dlbs.json_text import shown
from orchestrator.dlbs.networks import NotHere
from orchestrator.dlbs.source import Source, family
from orchestrator.errors import quoted
from orchestrator.request import LARGEST_BATCH

ENV = "runtime.env."
_DTYPES = {"float": "float32", "float32": "float32", "float16": "float16", "int8": "int8"}
_PHASES = ("training", "inference")
_GPUS = re.compile(r"[0-9]+(,[0-9]+)*", re.ASCII)
_WORDS = {"true": True, "on": True, "1": True, "yes": True}
_WORDS |= {"false": False, "off": False, "0": False, "no": False}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)


def keys(source: Source) -> list[tuple[str, Any]]:
    """Return each key with its value, None or "" if there is none. Raises NotHere."""
    program = networks.framework(source.text("exp.framework"))
    environment, prefix = _launcher(source)
    makers: tuple[tuple[str, Callable[[Source], Any]], ...] = (
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


def _one_of(source: Source, name: str, known: Mapping[str, str]) -> str:
    value = source.get(name)
    if not isinstance(value, str) or value not in known:
        raise NotHere(f"{name} is {shown(value)}; DLBS knows {', '.join(known)}")
    return known[value]


def _devices(source: Source) -> int:
    return max(1, str(source.get("exp.gpus")).count(",") + 1)


def _gpus(source: Source) -> Any:
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


def _batch(source: Source) -> int:
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


def _of_family(source: Source, what: str) -> str:
    """Return a value of the benchmark, or the one of its framework's family."""
    own = source.text(f"exp.{what}")
    return own or source.text(f"{family(source.benchmark)}.{what}") or _of_fork(source, what)


def _of_fork(source: Source, what: str) -> str:
    return source.text(f"{source.text('exp.framework')}.{what}")


def _image(source: Source) -> str:
    return _of_family(source, "docker_image")


def _runtime(source: Source) -> str:
    if "exp.docker" not in source.set_:
        return ""
    value = source.get("exp.docker")
    word = _WORDS.get(str(value).lower())
    if word is None:
        raise NotHere(f"exp.docker is {shown(value)}, not true or false")
    return "docker" if word else "host"


def _launcher(source: Source) -> tuple[dict[str, str], str]:
    """Return the variables and the prefix of `runtime.launcher` and `runtime.env.NAME`."""
    environment = {
        name.removeprefix(ENV): source.text(name)
        for name in source.benchmark
        if name.startswith(ENV) and name in source.set_
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
