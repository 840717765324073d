"""Parses an image reference: registry, repository, tag, digest, and an NGC image's month."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.errors import RequestError, quoted

# The grammar of the engines: a first component with a dot or a port, or "localhost", is a registry.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?"
    rf"|[A-Za-z0-9-]+:\d+)/)?"
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_MONTH = re.compile(r"(?P<release>\d\d\.(?:0[1-9]|1[0-2]))(?:-(?P<suffix>[a-z0-9.-]+))?", re.ASCII)


# Tags of earlier months do not name a Python; there was only 2.7.
_FIRST_PYTHON_3 = "18.01"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The parts of an image reference; a missing part is empty.

    `release` is the month of an NGC tag ("18.08" of "18.08-py3"), `suffix` what follows it.
    """

    registry: str
    repository: str
    tag: str
    digest: str
    release: str
    suffix: str

    @property
    def name(self) -> str:
        """Return registry and repository: "nvcr.io/nvidia/caffe2"."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def short(self) -> str:
        """Return the short name of the image: "caffe2:18.08-py3"."""
        name = self.repository.rpartition("/")[2]
        return f"{name}:{self.tag}" if self.tag else name

    @property
    def has_python_2(self) -> bool:
        """Whether it is an NVIDIA image with Python 2, according to its tag or its age."""
        if not self.release or "nvidia" not in self.repository.split("/"):
            return False
        return "py2" in self.suffix or (not self.suffix and self.release < _FIRST_PYTHON_3)

    def __str__(self) -> str:
        """Return the reference as it was written."""
        registry = f"{self.registry}/" if self.registry else ""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{registry}{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """Parse an image reference. Raises RequestError for what no engine would accept."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise RequestError(
            f"{quoted(text)} is not an image reference",
            hint="use one such as nvcr.io/nvidia/pytorch:24.06-py3",
        )
    tag = match["tag"] or ""
    month = _MONTH.fullmatch(tag)
    return Reference(
        registry=match["registry"] or "",
        repository=match["repository"],
        tag=tag,
        digest=match["digest"] or "",
        release=month["release"] if month else "",
        suffix=(month["suffix"] or "") if month else "",
    )


def parse_any(text: str) -> Reference:
    """Parse a name of an image as any platform writes it; a file's path is its repository.

    Raises RequestError for what no platform reads.
    """
    if _REFERENCE.fullmatch(text) is None:
        from orchestrator.runtimes.by_command import references  # only for other platforms' names

        if references.is_file(text):
            return Reference(registry="", repository=text, tag="", digest="", release="", suffix="")
        text = references.plain(text)
    return parse_reference(text)
