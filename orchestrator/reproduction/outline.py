"""Describes a claim's run without starting anything, on any machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table, store
from orchestrator.paths import RunFolder
from orchestrator.published.collection import Claim
from orchestrator.request import Device, Request
from orchestrator.run import program_rules, variants
from orchestrator.run.devices import Target
from orchestrator.run.facts import DecisionFacts
from orchestrator.run.place import Place
from orchestrator.run.planner import make_plan

# From this line on, a launcher script belongs to the program.
_PROGRAM = "exec >>"


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A run in words: `command` is the end of the launcher script, "" if there is none yet."""

    image: str
    request: Request
    options: dict[str, str]
    devices: str
    command: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        request = self.request
        return {
            "image": self.image,
            "framework": request.framework,
            "model": request.model,
            "phase": request.phase,
            "dtype": request.dtype,
            "batch": request.batch,
            "devices": self.devices,
            "data": str(request.data) if request.data else "synthetic",
            "options": self.options,
            "command": self.command or None,
        }

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return the description of each thing, by its name."""
        plain = self.as_json()
        batch = plain["batch"] or "unknown: use --batch N"
        options = " ".join(f"{key}={value}" for key, value in self.options.items() if value)
        return (
            ("image", self.image),
            ("program", f"{plain['framework']}, {plain['model']}"),
            ("work", f"{plain['phase']}, {plain['dtype']}, batch {batch} per device"),
            ("devices", self.devices),
            ("data", plain["data"]),
            ("options", options or "none"),
        )


def draw(claim: Claim, planned: Request, facts: DecisionFacts) -> Outline:
    """Describe what a request would run."""
    device: Device = "gpu" if claim.gpus else "cpu"
    framework = variants.settle(catalogue.framework(planned.framework), planned, device)
    gpus = planned.gpus if isinstance(planned.gpus, tuple) else ()
    target = Target(device=device, gpus=tuple(map(str, gpus)))
    on_host = bool(facts.container_engine.why_not) and (device == "cpu" or bool(facts.gpu.gpus))
    return Outline(
        image=_image(planned, framework, device, facts, on_host=on_host),
        request=planned,
        options=program_rules.options_of(framework, planned),
        devices=f"{target.count} x {device}",
        command=_command(planned, framework, target, on_host=on_host),
    )


def _image(
    planned: Request, framework: Framework, device: Device, facts: DecisionFacts, *, on_host: bool
) -> str:
    if on_host:
        return f"none: on this host ({facts.container_engine.why_not})"
    no_engine = facts.container_engine.why_not
    engine = f" (it needs a container engine: {no_engine})" if no_engine else ""
    if planned.image is not None:
        return f"{planned.image}{engine}"
    if device not in framework.images:
        return "unknown: use --image REF"
    table = image_table.load()
    return f"{store.name_of(table.image(framework.images[device]), table)}{engine}"


def _command(planned: Request, framework: Framework, target: Target, *, on_host: bool) -> str:
    """Return the part of the launcher script that starts the program, "" if it cannot be written.

    If --source names no folder yet, the path is the one inside a container.
    """
    if planned.batch is None:
        return ""
    if program_rules.lacks_source(
        framework, planned.model_copy(update={"image": None}), target.device
    ):
        planned = planned.model_copy(update={"source": Path("DIR")})
    place = Place(
        runtime="host" if on_host else "docker", reason="a dry run", python="python3",
        image=planned.image,
    )  # fmt: skip
    folder = RunFolder.planned(planned.model, planned.framework)
    try:
        script = make_plan(planned, framework, target, place, folder).script
    except RequestError:  # the setup reports the reason
        return ""
    _, _, program = script.partition(f"\n{_PROGRAM}")
    return program.partition("\n")[2].strip()
