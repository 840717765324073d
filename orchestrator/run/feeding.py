"""Requirements of the options that say how data reaches the steps of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from backends.options import AUGMENT, DATA_PLACE, PLACING, READING, WORKERS, feeding, misplaced
from orchestrator.errors import RequestError, either
from orchestrator.frameworks.record import PAGE_CACHE, Framework
from orchestrator.request import Device, Request

# How the command line spells those that have an option of their own.
_SPELLED = {DATA_PLACE: "--data-place", PAGE_CACHE: "--page-cache"}
_KNOWN = {WORKERS: READING, AUGMENT: READING, DATA_PLACE: PLACING}


def check(framework: Framework, request: Request, device: Device) -> None:
    """Refuse options that would have no effect, or cannot be had. Raises RequestError."""
    asked = {name: text for name, text in request.options.items() if text != "auto"}
    for name in (WORKERS, AUGMENT, PAGE_CACHE):
        if name in asked and name in (*_known(framework), PAGE_CACHE) and request.data is None:
            raise RequestError(
                f"{_spelled(name, asked[name])} needs real data",
                hint=f"add --data DIR or remove {_option(name)}",
            )
    if not framework.is_our_program:
        return
    if asked.get(AUGMENT) == "on" and request.phase != "training":
        raise RequestError(
            f"{_spelled(AUGMENT, 'on')} is for training", hint=f"remove {_option(AUGMENT)}"
        )
    place = asked.get(DATA_PLACE, "auto")
    why = misplaced(place, device, request.data is not None, request.measure)
    if why is not None:
        raise RequestError(
            f"{_spelled(DATA_PLACE, place)}: {why}", hint=f"remove {_option(DATA_PLACE)}"
        )


def check_known(framework: Framework, name: str) -> None:
    """Raise RequestError for an option that other frameworks have, and say which."""
    if name in _KNOWN:
        having = either(one for one in _KNOWN[name] if name in _names(one))
        raise RequestError(
            f"{framework.name} has no choice of {_option(name)}",
            hint=f"remove it, or use -f {having}",
        )


def refuse(options: Mapping[str, str]) -> None:
    """Refuse all of them where no data is read. Raises RequestError."""
    for name in (*_KNOWN, PAGE_CACHE):
        if name in options:
            raise RequestError(
                f"{_spelled(name, options[name])} has no effect on what is computed",
                hint=f"remove {_option(name)}",
            )


def page_cache_of(request: Request) -> Literal["cold", "warm"] | None:
    """Return the requested state of the page cache."""
    match request.options.get(PAGE_CACHE):
        case "cold":
            return "cold"
        case "warm":
            return "warm"
        case _:
            return None


def _known(framework: Framework) -> tuple[str, ...]:
    return _names(framework.name) if framework.is_our_program else ()


def _names(framework: str) -> tuple[str, ...]:
    return tuple(option.name for option in feeding(framework))


def _option(name: str) -> str:
    return _SPELLED.get(name, f"--option {name}")


def _spelled(name: str, value: str) -> str:
    return f"{_SPELLED[name]} {value}" if name in _SPELLED else f"--option {name}={value}"
