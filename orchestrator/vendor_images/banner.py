"""Reads what an NGC image's entrypoint prints before the program starts.

The banner comes from a table in the image, not from a test: tensorflow:18.07 complained about an
RTX 2080 SUPER and ran at full speed, pytorch:21.07 about an A100 that it supports but could not
see. So its complaints are warnings of a result, never a failure.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from orchestrator.facts import Fact, Facts, Flag, Text, Texts
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


class Banner(Facts):
    """What a banner says; a fact is absent if it says nothing."""

    product: Annotated[Text, Fact("name of the image")] = None
    release: Annotated[
        Text,
        Fact(
            "release of the image",
            "image release",
            "image",
            follows=("device", "runtime", "framework", "image", "image id"),
        ),
    ] = None
    build: Annotated[Text, Fact("number of the build")] = None
    framework: Annotated[Text, Fact("framework in the image")] = None
    framework_version: Annotated[Text, Fact("version of the framework")] = None
    too_new: Annotated[Texts, Fact("GPUs that it does not know yet, by name")] = None
    too_old: Annotated[Texts, Fact("GPUs that it no longer supports, by name")] = None
    supported: Annotated[Flag, Fact("false if it found no GPU that it supports")] = None
    driver: Annotated[Texts, Fact("complaints about the driver, one line each")] = None

    def warnings(self) -> tuple[str, ...]:
        """Return one sentence per complaint of the image."""
        said = [f"the image's banner does not know the {name} yet" for name in self.too_new or ()]
        said += [
            f"the image's banner says that it no longer supports {name}"
            for name in self.too_old or ()
        ]
        if self.supported is False and not said:
            said.append("the image's banner found no GPU that it supports")
        said += [f"the image says about the driver: {line}" for line in self.driver or ()]
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
    lists = {"too_new": tuple(too_new), "too_old": tuple(too_old), "driver": tuple(driver)}
    said = {**found, **lists, "supported": supported}
    return Banner.made_of({name: v for name, v in said.items() if v not in ("", (), None)})


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
