"""How this site's Slurm is used: a small TOML file, and what the command line puts over it.

Modules of records have no `from __future__ import annotations`: pydantic would have to compile
every annotation again.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from orchestrator.errors import RequestError, quoted
from orchestrator.paths import home
from orchestrator.record_files import first_mistake, read_file, read_given
from orchestrator.request import StrictRecord
from orchestrator.units import parse_duration

FILE = "slurm.toml"
_LARGEST = 2**20
_OPTION = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
# benchdock sets these; another value would break a session.
_OURS = frozenset(
    {
        *("array", "chdir", "dependency", "error", "job-name", "no-requeue", "open-mode", "output"),
        *("nodes", "ntasks", "parsable", "requeue", "signal", "wait", "wrap"),
    }
)
# An attempt that gives no sign of life for so long counts as dead, in seconds. NFS shows changes
# of other machines up to a minute late (acdirmax in nfs(5)).
PATIENCE = 120.0
Options = dict[str, str | int | bool]


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except RequestError as error:
        raise ValueError(str(error)) from None


class Site(StrictRecord):
    """Settings of a session on Slurm.

    `sbatch` are options of all arrays, without dashes; `gpu` and `cpu` go over them for arrays of
    runs on GPUs and on the CPU. `setup` are lines of bash that each task starts with. `gres` is
    what Slurm calls a GPU here. `nodes` are the only ones that may be used, all if it is empty.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    setup: tuple[str, ...] = ()
    patience: Annotated[float, Field(ge=1), BeforeValidator(_duration)] = PATIENCE
    gres: Annotated[str, Field(pattern=r"^gpu(:[A-Za-z0-9_.-]+)?$")] = "gpu"
    nodes: str = ""
    sbatch: Options = Field(default_factory=dict)
    gpu: Options = Field(default_factory=dict)
    cpu: Options = Field(default_factory=dict)

    @field_validator("sbatch", "gpu", "cpu")
    @classmethod
    def _check_options(cls, told: Options) -> Options:
        for name, value in told.items():
            if not _OPTION.fullmatch(name):
                raise ValueError(f"{quoted(name)} is not an option; write it without dashes")
            if name in _OURS:
                raise ValueError(f"benchdock sets {name} itself; remove it")
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{name}: {quoted(value)} contains a control character")
        return told

    @property
    def partition(self) -> str:
        """Return the partition of runs on GPUs, "" for the cluster's usual one."""
        return str({**self.sbatch, **self.gpu}.get("partition", ""))

    @property
    def kind(self) -> str:
        """Return the type of the GPUs, "" for any."""
        return self.gres.partition(":")[2]

    def over(self, *, nodes: str, options: Mapping[str, str]) -> Self:
        """Put what the command line says over it. Raises RequestError."""
        if not nodes and not options:
            return self
        told = self.model_dump(by_alias=True)
        for level in ("gpu", "cpu"):
            told[level] = {key: value for key, value in told[level].items() if key not in options}
        told["sbatch"] = {**told["sbatch"], **options}
        try:
            return type(self).model_validate({**told, "nodes": nodes or self.nodes})
        except ValidationError as error:
            raise RequestError(first_mistake(error), hint="see `man sbatch`") from None


def load(given: str | None) -> Site:
    """Read the site's file: the one that was given, else that in BENCHDOCK_HOME if there is one.

    Raises RequestError.
    """
    path = Path(given) if given else home() / FILE
    if not given and not path.exists():
        return Site()
    data = read_given(path, _LARGEST, so=", so it is not a site file")
    try:
        told = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: {error}", hint="see docs/slurm.md for an example") from None
    try:
        return Site.model_validate(told)
    except ValidationError as error:
        raise RequestError(f"{path}: {first_mistake(error, tuple(Site.model_fields))}") from None


def kept(path: Path) -> Site:
    """Return the settings that a session was submitted with. Raises RequestError."""
    return read_file(Site, path)


def as_text(site: Site) -> str:
    """Return the settings of a session as a file, for its continuation."""
    return json.dumps(site.model_dump(mode="json", by_alias=True), indent=2) + "\n"
