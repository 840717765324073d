"""Follows which modules of benchdock control passes through, as a reader of a run would."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from orchestrator.paths import PROJECT

_ROOT = str(PROJECT / "orchestrator")


@dataclass
class Walk:
    """The modules in the order in which the main thread entered them.

    A module is entered when a function of another module calls it; a function that calls several
    times enters it once. Importing does not count, and a lambda is part of the function that calls
    it.
    """

    entered: list[str] = field(default_factory=list)
    # Callers of each module: (from, to) -> times.
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    # How often each function was called, as "module:function".
    functions: Counter[str] = field(default_factory=Counter)
    # Whether it was ended before the code was.
    ended: bool = False

    @property
    def modules(self) -> set[str]:
        """Return the modules that ran code."""
        return set(self.entered)

    def counts(self) -> Counter[str]:
        """Return how often each module was entered."""
        return Counter(self.entered)


@contextmanager
def followed(until: Callable[[str, str], bool] | None = None) -> Iterator[Walk]:
    """Follow the main thread; `until` gets module and function and ends the walk."""
    walk = Walk()
    # Module, identity of the running function, and the modules that it has entered.
    stack: list[tuple[str, int, set[str]]] = [("", 0, set())]
    # Frames of generators, kept alive so that no other frame gets their identity.
    generators: dict[FrameType, set[str]] = {}
    importing = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal importing
        if walk.ended or event not in ("call", "return"):
            return
        if frame.f_code.co_name == "<module>":
            importing += 1 if event == "call" else -1
            return
        name = _module(frame)
        if name is None or importing or frame.f_code.co_name == "<lambda>":
            return
        if event == "return":
            if stack[-1][1] == id(frame):
                stack.pop()
            return
        if until is not None and until(name, frame.f_code.co_name):
            walk.ended = True
            return
        resumed = frame in generators
        if not resumed:
            walk.functions[f"{name}:{frame.f_code.co_name}"] += 1
        before, _, known = stack[-1]
        if name not in (before, *known) and not resumed:
            walk.entered.append(name)
            walk.steps[(before, name)] += 1
            known.add(name)
        entered: set[str] = generators.get(frame, set())
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            generators[frame] = entered
        stack.append((name, id(frame), entered))

    sys.setprofile(profile)
    try:
        yield walk
    finally:
        sys.setprofile(None)


def _module(frame: FrameType) -> str | None:
    """Return the module of one of our functions, None for any other function."""
    file = frame.f_code.co_filename
    if not file.startswith(_ROOT):
        return None
    parts = Path(file).relative_to(PROJECT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")
