"""Makes the request of a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.data import registry
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.record_files import first_mistake
from orchestrator.request import Request
from orchestrator.run import own_network
from orchestrator.suites.cells import Settings

_PATHS = ("source", "python")


def request_of(settings: Settings, folder: Path, *, timeout: float | None = None) -> Request:
    """Return the request; relative paths start from `folder`.

    `timeout` is the limit, in seconds, of a run that has none. Raises RequestError.
    """
    told: dict[str, Any] = {**settings}
    for key in _PATHS:
        if key in told:
            told[key] = folder / Path(told[key]).expanduser()
    if "data" in told:
        told["data"] = registry.resolve(str(told["data"]), folder)
    model, file = split(told["model"], folder)
    if file is not None:
        framework = catalogue.framework(told["framework"])
        told["phase"] = own_network.default_phase(framework, told["phase"], file)
    if timeout is not None:
        told.setdefault("timeout", timeout)
    try:
        return Request(**{**told, "model": model, "model_file": file})
    except ValidationError as error:
        raise RequestError(first_mistake(error)) from None


def split(model: str, folder: Path) -> tuple[str, Path | None]:
    """Return a model's name, and its file if it is one. Raises RequestError."""
    if model.lower().endswith(own_network.SUFFIXES):
        return own_network.split(str(folder / Path(model).expanduser()))
    return own_network.split(model)
