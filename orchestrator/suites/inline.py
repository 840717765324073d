"""Makes a suite from words of the command line, without a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import RequestError, unknown
from orchestrator.suites import loading, reader
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import KEYS, Suite

NAME = "sweep"


def suite(axes: Mapping[str, str], settings: Mapping[str, str], *, repeat: int = 1) -> Loaded:
    """Return a suite of one matrix; values of an axis are separated by commas.

    Raises RequestError that names the option.
    """
    for option, words in (("--matrix", axes), ("--set", settings)):
        for key in words:
            if key not in KEYS:
                known = unknown("key", key, KEYS)
                raise RequestError(f"{option} {key}: {known.what}", hint=known.hint)
    matrix = {key: [reader.plain(word) for word in text.split(",")] for key, text in axes.items()}
    defaults = {key: _setting(key, text) for key, text in settings.items()}
    told: dict[str, Any] = {"schema": 1, "name": NAME, "repeat": repeat, "defaults": defaults}
    told["groups"] = {NAME: {"matrix": matrix}}
    try:
        return Loaded(suite=Suite.model_validate(told), folder=Path.cwd())
    except ValidationError as error:
        raise _mistake(error) from None


def _setting(key: str, text: str) -> Any:
    """Read a value; those of options and variables are NAME=VALUE, separated by commas."""
    if key not in ("options", "env"):
        return reader.plain(text)
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: value for name, _, value in pairs}


def _mistake(error: ValidationError) -> RequestError:
    one = error.errors(include_url=False)[0]
    steps = [step for step in one["loc"] if step in KEYS]
    option = "--matrix" if "matrix" in one["loc"] else "--set"
    what, hint = loading.told(tuple(one["loc"]), one)
    return RequestError(f"{option} {steps[0] if steps else ''}: {what}", hint=hint)
