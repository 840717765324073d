"""What will run: everything an execution needs, decided in advance, as plain data."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from backends import near_cpus
from orchestrator.request import Device, Dtype, LenientRecord, Phase

NO_NETWORK = "none"
MACHINE_NETWORK = "host"
RuntimeName = Literal["docker", "host", "podman", "apptainer", "srun"]
# What a program that starts containers may not be able to give one.
Lack = Literal["network", "capabilities", "memory", "pids", "shm_size", "ulimits"]
# A float cannot hold every integer above this, and nothing counted here comes near it.
Count = Annotated[int, Field(ge=0, le=2**53)]

CpuList = Annotated[str, Field(pattern=f"^{near_cpus.LIST}$")]


class Mount(LenientRecord):
    """A host path that the program sees. A missing source is an error; it is never created."""

    source: Path
    target: str
    read_only: bool = True


class Ulimit(LenientRecord):
    """One resource limit; -1 is unlimited."""

    name: str
    soft: int
    hard: int


class Limits(LenientRecord):
    """Resource limits of the container; sizes in bytes, None leaves the engine's default."""

    memory: int | None = None
    pids: int | None = None
    shm_size: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


class Timeouts(LenientRecord):
    """The three clocks of a run, in seconds; None never expires."""

    first_output: float | None = None
    silence: float | None = None
    total: float | None = None


class ProgramFolder(LenientRecord):
    """The contents of a vendor program's folder when the run was planned.

    `digest` is over all its files, None if there were too many; `commit` is that of the git clone
    that contains it, `dirty` whether there were changes to it.
    """

    digest: str | None = None
    commit: str | None = None
    dirty: bool | None = None

    @property
    def identity(self) -> str | None:
        """Return a value that only the same program has, None if nothing identifies it."""
        if self.digest is not None:
            return f"sha256:{self.digest[:16]}"
        return f"commit {self.commit}" if self.commit and self.dirty is False else None

    def __str__(self) -> str:
        """Return it as text for the user."""
        commit = f"commit {self.commit[:12]}" if self.commit else ""
        changes = " with changes" if self.dirty else ""
        digest = f"sha256:{self.digest[:16]}" if self.digest else ""
        return ", ".join(part for part in (commit and commit + changes, digest) if part)


class DataFolder(LenientRecord):
    """What the folder of `--data` held when the run was planned.

    `digest` is over the names and sizes of its `files`, in order; of the first ones if there are
    very many, and then it is not `complete`. `manifest` is the SHA-256 of the manifest in it.
    """

    digest: str
    manifest: str | None = None
    files: Count
    complete: bool = True

    def __str__(self) -> str:
        """Return it as text for the user."""
        more = "" if self.complete else " and more"
        return f"{self.files} file{'' if self.files == 1 else 's'}{more} sha256:{self.digest[:16]}"


class Interpreter(LenientRecord):
    """A Python of the user's, as it was when the run was planned.

    `package` is the one that the framework needs, `package_version` "" if it does not tell its
    version. `packages` counts all installed packages, `digest` is over their names and versions.
    """

    path: Path
    version: str
    package: str
    package_version: str = ""
    packages: Count = 0
    digest: str

    def __str__(self) -> str:
        """Return it as text for the user."""
        package = f"{self.package} {self.package_version}".rstrip()
        noun = "package" if self.packages == 1 else "packages"
        packages = f"{self.packages} {noun} sha256:{self.digest[:16]}"
        return f"{self.path}, Python {self.version}, {package}, {packages}"


class Plan(LenientRecord):
    """One execution, decided.

    `gpus` are the device ids given to the engine (UUIDs if NVML has them, else indices); empty
    means CPU. `near_cpus` are the CPUs near each of them, if its process gets its share of these.
    `image` is the reference given to the engine, `image_id` what it resolved to; both
    are None on the host runtime. `script` is the rendered launcher; `argv` starts it. `pattern`,
    `unit` and `estimator` say how to read the program `custom`. `source` and `data` describe the
    contents of `--source` and `--data`. `prefix` are the words before the program's command in the
    script. `interpreter` is the user's Python on the host runtime. `lacks` names what the runtime
    cannot give a container.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    model: str
    framework: str
    program: str
    phase: Phase
    dtype: Dtype
    batch: Count
    device: Device
    device_count: Count = 1
    gpus: tuple[str, ...] = ()
    near_cpus: tuple[CpuList, ...] = ()
    steps: Count
    warmup: Count
    fingerprint: str | None = None
    runtime: RuntimeName
    runtime_reason: str
    image: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    argv: tuple[str, ...]
    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    network: str = NO_NETWORK
    lacks: tuple[Lack, ...] = ()
    capabilities: tuple[str, ...] = ()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    options: dict[str, str] = Field(default_factory=dict)
    pattern: str | None = None
    unit: str | None = None
    estimator: str | None = None
    source: ProgramFolder | None = None
    data: DataFolder | None = None
    interpreter: Interpreter | None = None
    script: str
    warnings: tuple[str, ...] = ()

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @property
    def in_container(self) -> bool:
        """Whether the program runs in a container."""
        return self.runtime != "host"

    @property
    def global_batch(self) -> int:
        """Return the number of samples of one step on all devices."""
        return self.batch * max(1, self.device_count)
