"""What the user requests.

Modules of records have no `from __future__ import annotations`: pydantic would have to compile
every annotation again, which takes a third of the import time.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Measure = Literal["compute", "copy", "input", "end-to-end"]
Phase = Literal["training", "inference"]
Dtype = Literal["float32", "tf32", "float16", "bfloat16", "int8"]
Device = Literal["cpu", "gpu"]

LARGEST_BATCH = 1_000_000
# More than any machine has CPUs, far below Linux's usual 32768 process ids: a container without a
# limit could use up all of them.
MOST_THREADS = 4096


# The most devices that one machine has.
MOST_DEVICES = 1024
# Every rank is a process with a copy of the network.
MOST_RANKS = 1024
# Of a GPU, or of a part of one (MIG), as `nvidia-smi -L` prints it.
_UUID = r"(GPU|MIG)-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# A part is also named by its GPU and its number there, as CDI does: 0:1.
_PART = r"\d{1,4}:\d{1,2}"
GpuUuid = Annotated[str, Field(pattern=f"^({_UUID}|{_PART})$")]
GpuIndex = Annotated[int, Field(ge=0, le=MOST_DEVICES)]
GpuChoice = Literal["all", "none"] | tuple[GpuIndex | GpuUuid, ...]


def gpu_choice(text: str) -> Literal["all", "none"] | tuple[int | str, ...]:
    """Read "all", "none", or a list of indices, UUIDs and parts (0:1). Raises ValueError."""
    if text == "all":
        return "all"
    if text == "none":
        return "none"
    words = text.split(",")
    chosen = tuple(int(word) if word.isascii() and word.isdigit() else word for word in words)
    if not all(
        isinstance(one, int) or re.fullmatch(f"{_UUID}|{_PART}", one, re.ASCII) for one in chosen
    ):
        raise ValueError("is not all, none, or GPU indices or UUIDs such as 0,1")
    if len(set(chosen)) < len(chosen):
        raise ValueError("names a GPU twice")
    return chosen


class RuntimeChoice(StrEnum):
    """Where the launcher script runs."""

    AUTO = "auto"
    DOCKER = "docker"
    HOST = "host"
    PODMAN = "podman"
    APPTAINER = "apptainer"
    SRUN = "srun"


class StrictRecord(BaseModel):
    """A frozen record that a person may write: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LenientRecord(BaseModel):
    """A frozen record that any version of benchdock may have written: unknown keys are ignored."""

    # Built at first use: a result's schema is not needed before its run has started.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Request(StrictRecord):
    """One requested benchmark; None means "benchdock chooses".

    Times are in seconds, memory in bytes. `gpus` is "all", "none", a tuple of GPU indices and
    UUIDs, or None: the first GPU if there is one, else the CPU. `devices` is how many GPUs are
    used, the first ones that work; `ranks` is how many processes share the CPUs. `source` is the
    folder of a vendor's program; the next four are for the program `custom`: what to run, how to
    read its figure. `model_file` is the user's network, and `model` is then only its name.
    `as_root` runs the container as root. `env` are variables of the program's environment, `prefix`
    is a command put before the program's, `network` a network of the container engine. `python` is
    an interpreter of this machine, or the folder of a virtual or conda environment: the program
    runs in it, on the host. `measure` is the part of a step on real data that is timed: all of it,
    computing on a held batch (`compute`), that and copying it (`copy`), or only reading (`input`).
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    model: str
    framework: str
    phase: Phase = "training"
    dtype: Dtype = "float32"
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None
    gpus: GpuChoice | None = None
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] | None = None
    ranks: Annotated[int, Field(ge=1, le=MOST_RANKS)] | None = None
    steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    warmup: Annotated[int, Field(ge=0)] | None = None
    data: Path | None = None
    measure: Measure | None = None
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
    python: Path | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="after")
    def _check_devices(self) -> Self:
        if self.devices is not None and self.gpus is not None:
            raise ValueError("devices is a number of GPUs and gpus says which; use one of them")
        if self.ranks is not None and (self.gpus not in (None, "none") or self.devices is not None):
            raise ValueError("ranks are for the CPU, gpus and devices for GPUs; use one of them")
        return self

    @property
    def leaves_device_open(self) -> bool:
        """Whether benchdock chooses between the CPU and a GPU."""
        return self.gpus is None and self.devices is None and self.ranks is None

    @property
    def is_for_cpu(self) -> bool:
        """Whether the CPU was requested."""
        return self.gpus == "none" or self.ranks is not None
