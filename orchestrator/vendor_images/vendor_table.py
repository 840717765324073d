"""The table of vendors' images, `vendor_images.toml`, as records."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from orchestrator.errors import BenchdockError
from orchestrator.images.reference import Reference
from orchestrator.request import StrictRecord

TABLE = Path(__file__).with_name("vendor_images.toml")

Capability = Annotated[str, Field(pattern=r"^\d+\.\d$")]
Driver = Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
Branch = Annotated[str, Field(pattern=r"^\d+(\.\d+)*\+?$")]

_NUMBERS = re.compile(r"\d+(?:\.\d+)*", re.ASCII)


class VendorTableError(BenchdockError):
    """Data that ships with benchdock is damaged."""


class Suffix(StrictRecord):
    """A tag's suffix after the month ("py3"), in the releases `first` to `last`."""

    name: str
    first: str = Field(default="", alias="from")
    last: str = Field(default="", alias="to")


class Program(StrictRecord):
    """A benchmark program in the images of the releases `first` to `last`."""

    path: str
    what: str
    first: str = Field(default="", alias="from")
    last: str = Field(default="", alias="to")


class RunSettings(StrictRecord):
    """What the vendor recommends for `docker run`; -1 is unlimited."""

    shm_size: str = ""
    ulimits: dict[str, int] = Field(default_factory=dict)


class ImageFacts(StrictRecord):
    """ImageFacts about a range of tags; a field is empty if the vendor says nothing.

    `architectures` and `jit` are compute capabilities: those with binaries, and those that are at
    best compiled from PTX at the start. Below `lowest` the vendor refuses, below `doubtful_below`
    nothing is promised. `driver_branches` are older branches that are enough on data-centre GPUs
    ("450+" is every branch from that one on).
    """

    version: str = ""
    cuda: str = ""
    cudnn: str = ""
    driver: Driver | Literal[""] = ""
    driver_branches: tuple[Branch, ...] = ()
    architectures: tuple[Capability, ...] = ()
    jit: tuple[Capability, ...] = ()
    lowest: Capability | Literal[""] = ""
    doubtful_below: Capability | Literal[""] = ""
    python: str = ""
    end_of_life: str = ""
    year: int | None = None

    def over(self, era: ImageFacts) -> ImageFacts:
        """Return these facts, completed with the era's."""
        own = {name: value for name, value in self if value not in ("", (), None)}
        filled = {name: value for name, value in era if value not in ("", (), None)}
        # Limits belong to the list of architectures that they were stated with, branches to the
        # driver.
        if "architectures" in own:
            for name in ("jit", "lowest", "doubtful_below"):
                filled.pop(name, None)
        if "driver" in own:
            filled.pop("driver_branches", None)
        return ImageFacts(**(filled | own))


class Era(ImageFacts):
    """The facts of all images of a range of months; `last` is empty while it continues."""

    first: str = Field(alias="from")
    last: str = Field(default="", alias="to")


class Release(ImageFacts):
    """The facts of one tag of a family, or of the range up to `last`.

    `versions` are the framework's releases by the tag's suffix, if the images of a month differ.
    """

    first: str = Field(alias="tag")
    last: str = Field(default="", alias="to")
    versions: dict[str, str] = Field(default_factory=dict)

    def version_of(self, tag: str) -> str:
        """Return the framework's release in an image; all of them for a tag without a suffix."""
        if not self.versions:
            return self.version
        suffix = tag.partition("-")[2]
        return self.versions.get(suffix, "") if suffix else " or ".join(self.versions.values())


class Family(StrictRecord):
    """A vendor's images of one framework. `last` is empty while new images still appear."""

    name: str
    title: str
    repository: str
    first: str
    settings: RunSettings
    alternative: str
    last: str = ""
    last_tag: str = ""
    end_of_life: str = ""
    suffixes: tuple[Suffix, ...] = ()
    programs: tuple[Program, ...] = ()
    releases: tuple[Release, ...] = Field(default=(), alias="release")

    def image(self, release: str, like: str = "") -> str:
        """Return the reference of a month's image, with the suffix `like` if it had that one."""
        known = [suffix.name for suffix in self.suffixes if _within(suffix, release)]
        ending = like if like in known else (known or [""])[0]
        return f"{self.repository}:{release}" + (f"-{ending}" if ending else "")


class VendorImage(StrictRecord):
    """What is known about one image: its release's facts, completed with those of its era.

    `stated` names the facts that were stated for exactly this tag.
    """

    family: Family
    tag: str
    release: str
    facts: ImageFacts
    stated: frozenset[str]
    programs: tuple[Program, ...]


class VendorTable(StrictRecord):
    """The whole table; `cuda_for` is the oldest CUDA with binaries for a capability.

    `tensorrt_since` is the major release of TensorRT in NVIDIA's images from a month on.
    """

    schema_version: Literal[1] = Field(alias="schema")
    cuda_for: dict[Capability, str]
    tensorrt_since: dict[str, str] = Field(default_factory=dict)
    eras: tuple[Era, ...] = Field(alias="era")
    families: dict[str, Family] = Field(alias="family")

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Name each family and add the settings that it points to."""
        known = data.get("settings", {})
        families = {}
        for name, table in data.get("family", {}).items():
            if table.get("settings") not in known:
                raise ValueError(f"family.{name}: unknown settings {table.get('settings')!r}")
            families[name] = {**table, "name": name, "settings": known[table["settings"]]}
        return {key: data[key] for key in data if key != "settings"} | {"family": families}

    def family_of(self, reference: Reference) -> Family | None:
        """Return the family of a repository; a mirror keeps the vendor's path and is found too."""
        for family in self.families.values():
            path = family.repository.removeprefix("nvcr.io/")
            if f"/{reference.repository}".endswith(f"/{path}"):
                return family
        return None

    def describe(self, reference: Reference) -> VendorImage | None:
        """Return what is known about an image, None for another vendor's or an odd tag."""
        family = self.family_of(reference)
        return self.image_of(family, reference.tag, reference.release) if family else None

    def image_of(self, family: Family, tag: str, release: str) -> VendorImage | None:
        """Return what is known about a tag; `release` is its month, empty if it has none."""
        own = next((facts for facts in family.releases if _holds(facts, release or tag)), None)
        era = next((facts for facts in self.eras if release and _holds(facts, release)), None)
        if own is None and era is None:
            return None
        ours, theirs = _facts(own), _facts(era)
        if own is not None:
            ours = ours.model_copy(update={"version": own.version_of(tag)})
        return VendorImage(
            family=family,
            tag=tag,
            release=release,
            facts=ours.over(theirs),
            stated=frozenset(name for name, value in ours if value not in ("", (), None)),
            programs=tuple(program for program in family.programs if _within(program, release)),
        )


def _holds(facts: Era | Release, key: str) -> bool:
    if isinstance(facts, Release) and not facts.last:
        return key == facts.first
    return _within(facts, key)


def _within(span: Era | Release | Program | Suffix, key: str) -> bool:
    return span.first <= key and (not span.last or key <= span.last)


def _facts(source: ImageFacts | None) -> ImageFacts:
    """Return only the facts, without the range that they apply to."""
    return ImageFacts(**{name: getattr(source, name) for name in ImageFacts.model_fields if source})


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: 440.33.01 is (440, 33, 1)."""
    match = _NUMBERS.match(version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def load(path: Path = TABLE) -> VendorTable:
    """Read the table. Raises VendorTableError that names the wrong entry and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return VendorTable.model_validate(data)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VendorTableError(f"cannot read {path.name}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the table"
        raise VendorTableError(f"{path.name}: {where}: {first['msg']}") from None


@functools.cache
def shipped() -> VendorTable:
    """Return the table that ships with benchdock, read once."""
    return load()
