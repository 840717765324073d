"""What `benchdock probe` found out about this machine: the most that each device can do.

Kept in benchdock's folder, by machine and device, because several machines may share a home.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.errors import RequestError
from orchestrator.machine import inventory
from orchestrator.paths import keep_text, probes
from orchestrator.record_files import read_file
from orchestrator.request import Device, Dtype, LenientRecord

CPU = "cpu"
What = Literal["multiply", "copy", "transfer"]


class Ceiling(LenientRecord):
    """One figure: what a device did at most, with `devices` of them working at once.

    In floating-point operations or bytes (read and written) per second. `best` and `median` are of
    the rounds. On a CPU they are by CPU time, and `wall` is by the clock on the wall: far below
    `median`, other programs took the CPUs meanwhile. `index` counts the GPUs of the probe.
    """

    what: What
    device: Device
    index: int | None = None
    dtype: Dtype | None = None
    how: str = ""
    devices: int = 1
    unit: str
    best: float = Field(gt=0, allow_inf_nan=False)
    median: float = Field(gt=0, allow_inf_nan=False)
    wall: float | None = None
    rounds: int = 1


class DeviceCeilings(LenientRecord):
    """All figures of one device: the CPUs, or a GPU by its UUID. Watts and MHz are means."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    benchdock: str
    made: datetime
    hostname: str = ""
    device: str
    name: str = ""
    power: float | None = None
    sm_clock: float | None = None
    ceilings: tuple[Ceiling, ...]


def folder() -> Path:
    """Return the folder of this machine's ceilings."""
    return probes() / (inventory.machine_key() or "unknown")


def keep(found: DeviceCeilings) -> Path:
    """Replace what is known of a device; return the file. Raises MachineError."""
    path = folder() / f"{found.device}.json"
    keep_text(path, found.model_dump_json(indent=2, by_alias=True) + "\n")
    return path


def known(device: str) -> DeviceCeilings | None:
    """Return what is known of a device, "cpu" or the UUID of a GPU; None without a probe."""
    path = folder() / f"{device}.json"
    if not path.is_file():
        return None
    try:
        return read_file(DeviceCeilings, path)
    except RequestError:  # damaged: a new probe replaces it
        return None


def multiplying(found: DeviceCeilings, dtype: Dtype, devices: int) -> float | None:
    """Return the most FLOP/s of one device in a number type, while `devices` of them work.

    None if it was not measured. The figure of several GPUs at once is used if there is one: then
    each may get less power.
    """
    of_type = [one for one in found.ceilings if one.what == "multiply" and one.dtype == dtype]
    exact = [one for one in of_type if one.devices == devices]
    chosen = exact or [one for one in of_type if one.devices == 1]
    return max((one.median for one in chosen), default=None)


def multiplying_on_cpu(found: DeviceCeilings, dtype: Dtype, threads: int | None) -> float | None:
    """Return the most FLOP/s of a number of threads, of all CPUs if it is None.

    A CPU computes tf32 as float32; of other number types the ceiling is unknown.
    """
    if dtype not in ("float32", "tf32"):
        return None
    figures = [one for one in found.ceilings if one.what == "multiply"]
    most = max((one.best for one in figures), default=None)
    single = max((one.best for one in figures if one.devices == 1), default=None)
    if most is None or threads is None or single is None:
        return most
    return min(most, threads * single)
