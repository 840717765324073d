"""Reads what an NGC image's entrypoint prints before the program starts.

The banner comes from a table in the image, not from a test: tensorflow:18.07 complained about an
RTX 2080 SUPER and ran at full speed, pytorch:21.07 about an A100 that it supports but could not
see. So its complaints are warnings of a result, never a failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.paths import RunFolder

# A banner has about 2 KiB. It is in the log only if an entrypoint ran after the launcher.
_ENGINE_LOG_HEAD = 64 * 1024
_LOG_HEAD = 16 * 1024
_LONGEST = 300
_MOST = 16

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_RANK = re.compile(r"^\[\d+,\d+\]<std(?:out|err)>: ?")
_PRODUCT = re.compile(r"== (\S.*?) ==")
_RELEASE = re.compile(r"NVIDIA Release (\d\d\.\d\d(?:\.\d+)?)(?: \(build (\w+)\))?")
_VERSION = re.compile(r"([A-Z]\w*(?: \w+)?) Version (\d[\w.+-]*)")
_TOO_NEW = re.compile(
    r"WARNING: Detected (.+?) GPU, which is not yet supported in this version of the container"
)
_TOO_OLD = re.compile(r"ERROR: Detected (.+?) GPU, which is not supported by this container")
_NO_GPU = re.compile(r"ERROR: No (?:NVIDIA )?supported GPU\(s\) detected to run this container")
_COMPLAINT = re.compile(r"error|cannot|not found|no such|denied|failed", re.IGNORECASE)
_DRIVER = re.compile(r"(?:ERROR|WARNING|NOTE): .*\bNVIDIA Driver\b.*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Banner:
    """What a banner says; a field is empty if it says nothing.

    `too_new` and `too_old` are GPUs by name; `supported` is False if the image found no GPU it
    knows, None if it does not say. `driver` are complaints about the driver, one line each.
    """

    product: str = ""
    release: str = ""
    build: str = ""
    framework: str = ""
    framework_version: str = ""
    too_new: tuple[str, ...] = ()
    too_old: tuple[str, ...] = ()
    supported: bool | None = None
    driver: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the facts for a result's environment: nothing if there was no banner."""
        said = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value not in ("", (), None)
        }
        return {"container": said} if said else {}

    def warnings(self) -> tuple[str, ...]:
        """Return one sentence per complaint of the image."""
        said = [f"the image's banner does not know the {name} yet" for name in self.too_new]
        said += [
            f"the image's banner says that it no longer supports {name}" for name in self.too_old
        ]
        if self.supported is False and not said:
            said.append("the image's banner found no GPU that it supports")
        said += [f"the image says about the driver: {line}" for line in self.driver]
        return tuple(said)


def of_run(folder: RunFolder) -> Banner:
    """Read the banner of a finished run. Never raises, because a banner must not cost a result."""
    logs = ((folder.engine_log, _ENGINE_LOG_HEAD), (folder.log, _LOG_HEAD))
    return read_banner(line for path, size in logs for line in head(path, size))


def head(path: Path, size: int) -> list[str]:
    """Return the lines of a file's first bytes, none if it cannot be read.

    The program could write to the run folder: a link or a pipe that it left there is not followed.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            text = stream.read(size).decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:_LONGEST] for line in text.split("\n")]


def last_words(lines: Iterable[str]) -> str:
    """Return the last line that may say why a program did not start.

    The notes and licences at the end of an image's banner explain nothing and are skipped.
    """
    said = [line.strip() for line in _sentences(lines) if line.strip()]
    if any(_RELEASE.fullmatch(line) for line in said):
        said = [line for line in said if _COMPLAINT.search(line) and not line.startswith("NOTE:")]
    return said[-1] if said else ""


def read_banner(lines: Iterable[str]) -> Banner:
    """Read the banner from a log, or from what was printed before the launcher started.

    If there are several banners the first counts (a multi-node run prints one per node); GPUs and
    complaints are listed once each.
    """
    found: dict[str, str] = {}
    too_new: dict[str, None] = {}
    too_old: dict[str, None] = {}
    driver: dict[str, None] = {}
    supported: bool | None = None
    for line in _sentences(lines):
        _read_title(line, found)
        if match := _TOO_NEW.match(line):
            _add(too_new, _once(match[1]))
        elif match := _TOO_OLD.match(line):
            _add(too_old, _once(match[1]))
        elif _NO_GPU.match(line):
            supported = False
        elif _DRIVER.match(line):
            _add(driver, line.partition(": ")[2])
    return Banner(
        product=found.get("product", ""),
        release=found.get("release", ""),
        build=found.get("build", ""),
        framework=found.get("framework", ""),
        framework_version=found.get("framework_version", ""),
        too_new=tuple(too_new),
        too_old=tuple(too_old),
        supported=supported,
        driver=tuple(driver),
    )


def _add(found: dict[str, None], text: str) -> None:
    """Store a text once, up to a limit: a log may contain anything."""
    if len(found) < _MOST:
        found[text[:_LONGEST]] = None


def _read_title(line: str, found: dict[str, str]) -> None:
    if (match := _PRODUCT.fullmatch(line)) and "product" not in found:
        found["product"] = match[1]
    elif (match := _RELEASE.fullmatch(line)) and "release" not in found:
        found["release"] = match[1]
        found["build"] = match[2] or ""
    elif (match := _VERSION.fullmatch(line)) and "release" in found:
        found.setdefault("framework", match[1])
        if found["framework"] == match[1]:
            found.setdefault("framework_version", match[2])


def _sentences(lines: Iterable[str]) -> Iterable[str]:
    """Join a complaint with the indented lines that continue it; drop colours and rank prefixes."""
    sentence = ""
    for raw in lines:
        line = _RANK.sub("", _ANSI.sub("", raw)).rstrip()
        if sentence and line.startswith("   ") and line.strip():
            sentence += " " + line.strip()
            continue
        if sentence:
            yield sentence
            sentence = ""
        if line.startswith(("ERROR:", "WARNING:", "NOTE:")):
            sentence = line
        else:
            yield line
    if sentence:
        yield sentence


def _once(name: str) -> str:
    """Remove the doubled vendor name that newer drivers cause: "NVIDIA NVIDIA GeForce"."""
    return name.removeprefix("NVIDIA ") if name.startswith("NVIDIA NVIDIA ") else name
