"""What `benchdock tune` found out about this machine: the fastest settings of a request.

Kept in benchdock's folder, by machine and request, because several machines may share a home.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.machine import inventory
from orchestrator.paths import keep_text, tuned
from orchestrator.record_files import read_file
from orchestrator.request import Device, LenientRecord, Request


class Tuned(LenientRecord):
    """The fastest settings that were found, and how they were found.

    Empty `options` without `threads` and `batch`: nothing was faster than the default. `asked` is
    the request that was tuned; `ratio` says how many times as fast as its default the settings are,
    by `by`. `sessions` have all runs.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    benchdock: str
    made: datetime
    device: Device
    asked: Request
    options: dict[str, str] = Field(default_factory=dict)
    threads: int | None = None
    batch: int | None = None
    by: Literal["throughput", "cpu"]
    ratio: float = 1.0
    interval: tuple[float, float] | None = None
    sessions: tuple[str, ...]

    def applied(self, request: Request) -> Request:
        """Return a request with these settings; what the request says itself counts more."""
        return request.model_copy(
            update={
                "options": {**self.options, **request.options},
                "threads": request.threads or self.threads,
                "batch": request.batch or self.batch,
            }
        )

    def __str__(self) -> str:
        """Return the settings as text for the user."""
        counts = {"threads": self.threads, "batch": self.batch}
        told = {**self.options, **{name: one for name, one in counts.items() if one is not None}}
        words = " ".join(f"{name}={value}" for name, value in told.items())
        return f"{words or 'the defaults'} (`benchdock tune` of {self.made:%Y-%m-%d})"


def _path(request: Request, device: Device) -> Path:
    framework = catalogue.framework(request.framework).name
    words = (request.model, framework, request.phase, request.dtype, device)
    return tuned() / (inventory.machine_key() or "unknown") / f"{'-'.join(words)}.json"


def keep(found: Tuned) -> Path:
    """Replace what is known of a request; return the file. Raises MachineError."""
    path = _path(found.asked, found.device)
    keep_text(path, found.model_dump_json(indent=2, by_alias=True) + "\n")
    return path


def known(request: Request, device: Device) -> Tuned:
    """Return what is known of a request. Raises RequestError if it was never tuned here."""
    path = _path(request, device)
    if not path.is_file():
        what = f"{request.model} {request.framework} {request.phase} {request.dtype} on a {device}"
        gpus = " --gpus none" if device == "cpu" else ""
        raise RequestError(
            f"{what} was never tuned on this machine",
            hint=f"run `benchdock tune {request.model} -f {request.framework} "
            f"--phase {request.phase} --dtype {request.dtype}{gpus}`, or remove --tuned",
        )
    found = read_file(Tuned, path)
    if found.asked.model_file != request.model_file:
        raise RequestError(
            f"another file named {request.model} was tuned: {found.asked.model_file}",
            hint=f"run `benchdock tune` with {request.model_file}, or remove --tuned",
        )
    return found
