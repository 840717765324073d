"""Turns one benchmark of DLBS into a run of a suite, and names what has no counterpart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.dlbs import networks, run_keys
from orchestrator.dlbs.configuration import VAR_ORDER, Value
from orchestrator.dlbs.expansion import Benchmark
from orchestrator.dlbs.networks import NotHere
from orchestrator.dlbs.source import Source, family, source

OFF = ("disabled", "inactive", "simulate")
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


def mapped(benchmark: Benchmark, set_: frozenset[str], environment: Mapping[str, str]) -> Mapped:
    """Map a benchmark; `set_` are the names that its configuration sets.

    Raises NotHere if it cannot be carried over.
    """
    one = source(benchmark, set_, environment)
    keys = {name: value for name, value in run_keys.keys(one) if value not in (None, "")}
    difference = networks.difference(str(keys["framework"]), one.text("exp.model"))
    return Mapped(
        keys=keys,
        tags=_tags(one),
        left_out=_left_out(one),
        notes=(difference,) if difference else (),
    )


def is_not_needed(name: str) -> bool:
    """Whether a parameter has no effect on a measurement here."""
    return name in _WITHOUT_EFFECT or name.startswith(_MONITOR)


def _is_label(name: str) -> bool:
    return name in _LABELS or _LABELLED.fullmatch(name) is not None


def _tags(source: Source) -> tuple[str, ...]:
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


def _left_out(source: Source) -> dict[str, Value]:
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


def _of_another(name: str, source: Source) -> bool:
    """Whether a parameter is the data or the image of another framework."""
    first, _, last = name.rpartition(".")
    if last not in ("data_dir", "docker_image") or not first:
        return False
    return first not in ("exp", family(source.benchmark), source.text("exp.framework"))
