"""What the user requests.

Modules of records have no `from __future__ import annotations`: pydantic would have to compile
every annotation again, which takes a third of the import time.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Phase = Literal["training", "inference"]
Dtype = Literal["float32", "tf32", "float16", "bfloat16", "int8"]
Device = Literal["cpu", "gpu"]

LARGEST_BATCH = 1_000_000
# More than any machine has CPUs, far below Linux's usual 32768 process ids: a container without a
# limit could use up all of them.
MOST_THREADS = 4096


class RuntimeChoice(StrEnum):
    """Where the launcher script runs."""

    AUTO = "auto"
    DOCKER = "docker"
    HOST = "host"


class StrictRecord(BaseModel):
    """A frozen record that a person may write: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LenientRecord(BaseModel):
    """A frozen record that any version of benchdock may have written: unknown keys are ignored."""

    # Built at first use: a result's schema is not needed before its run has started.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Request(StrictRecord):
    """One requested benchmark; None means "benchdock chooses".

    Times are in seconds, memory in bytes. `gpus` is "all", "none", a tuple of GPU indices, or None:
    the first GPU if there is one, else the CPU. `source` is the folder of a vendor's program; the
    next four are for the program `custom`: what to run, how to read its figure. `model_file` is the
    user's network, and `model` is then only its name. `as_root` runs the container as root. `env`
    are variables of the program's environment, `prefix` is a command put before the program's,
    `network` a network of the container engine.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    model: str
    framework: str
    phase: Phase = "training"
    dtype: Dtype = "float32"
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None
    gpus: Literal["all", "none"] | tuple[Annotated[int, Field(ge=0)], ...] | None = None
    steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    warmup: Annotated[int, Field(ge=0)] | None = None
    data: Path | None = None
    image: str | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    timeout: Annotated[float, Field(gt=0)] | None = None
    first_output_timeout: Annotated[float, Field(gt=0)] | None = None
    silence_timeout: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[int, Field(gt=0)] | None = None
    pids: Annotated[int, Field(gt=0)] | None = None
    shm_size: Annotated[int, Field(gt=0)] | None = None
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] | None = None
    seed: int = 0
    options: dict[str, str] = Field(default_factory=dict)
    source: Path | None = None
    command: str | None = None
    pattern: str | None = None
    unit: str | None = None
    estimator: str | None = None
    model_file: Path | None = None
    as_root: bool = False
    env: dict[str, str] = Field(default_factory=dict)
    prefix: str | None = None
    network: str | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
