"""The table of images, `dockerfiles/images.toml`, as records."""

import functools
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from orchestrator import installation, paths
from orchestrator.errors import ImageError, nearest, unknown
from orchestrator.images import pins
from orchestrator.images.reference import parse_reference
from orchestrator.request import Device, StrictRecord

Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
ImageId = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]

_SIZE = re.compile(r"^(\d+)([kmg]?)$")
_SCALE = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class BaseImage(StrictRecord):
    """A public base image: its Python, its C library, and how to build it without a registry.

    That is from a Debian `suite`; or from `parent`, another base, and this machine's interpreter.
    `pip` installs the wheels in builds on it if the table's does not run on its Python.
    """

    name: str
    suite: str = ""
    parent: str = ""
    python: Version
    glibc: Version
    pip: Version | None = None
    end_of_life: str = ""

    @model_validator(mode="after")
    def _made_of_one_thing(self) -> Self:
        if bool(self.suite) is bool(self.parent):
            raise ValueError(f"base.{self.name} needs either 'suite' or 'parent'")
        return self


class Image(StrictRecord):
    """One image: built here from `folder`, or a vendor's `reference`.

    `also` names other frameworks that it contains. A built image is pinned by `lock`, a file of
    Python packages, or by `packages`, one of Debian's; `recipe` is the image whose folder it is
    built from if it has no folder. `parent` is our image whose framework layers it is based on: its
    lock names only what it adds. `compiled` names packages of the lock that come as source and are
    compiled in the build. `container_only` says why the packages without the build are not enough
    for the host runtime. `instead_of` names images that it stands in for (`ImageTable.candidates`).
    `cuda`, `driver` (the lowest of NVIDIA's) and `compute_capabilities` are those of an image that
    is built here; `listed.facts_of` has them for a vendor's image too. `shm_size` is in bytes.
    `extra_index` is asked for wheels only if the host's own indexes do not have them. `never_run`:
    nobody has run it with benchdock on a GPU yet.
    """

    id: ImageId
    framework: str
    also: tuple[str, ...] = ()
    version: str
    device: Device
    source: Literal["build", "vendor"]
    python: Version
    machines: tuple[Literal["x86_64", "aarch64"], ...]
    size: str = ""
    end_of_life: str = ""
    reference: str = ""
    base: str = ""
    lock: str = ""
    packages: str = ""
    parent: str = ""
    compiled: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    container_only: str = ""
    extra_index: str = ""
    recipe: str = ""
    instead_of: tuple[ImageId, ...] = ()
    never_run: bool = False
    cuda: Version | None = None
    driver: Version | None = None
    compute_capabilities: tuple[Version, ...] = ()
    capabilities: tuple[str, ...] = ()
    shm_size: Annotated[int, Field(gt=0)] | None = None
    ulimits: dict[str, Annotated[int, Field(ge=-1)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_size(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(text := data.get("shm_size"), str):
            match = _SIZE.match(text.lower())
            if match is None:
                raise ValueError(f"shm_size {text!r} is not a size such as 512m or 1g")
            return {**data, "shm_size": int(match[1]) * _SCALE[match[2]]}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        pins = "packages" if self.packages else "lock"
        needed = ("base", pins) if self.source == "build" else ("reference",)
        of_wheels = ("lock", "parent", "compiled", "sources", "extra_index", "recipe")
        useless: tuple[str, ...] = ("base", "packages", *of_wheels)
        useless += ("cuda", "driver", "compute_capabilities")  # vendor_images.toml has them
        if self.source == "build":
            useless = ("reference", *of_wheels) if self.packages else ("reference",)
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f'source = "{self.source}" needs {key!r}')
        for key in useless:
            if getattr(self, key):
                raise ValueError(f'{key!r} does not apply to source = "{self.source}"')
        return self

    @functools.cached_property
    def repository(self) -> str:
        """Return the name of all builds of one of our images, without a tag."""
        return f"benchdock/{self.id}"

    @functools.cached_property
    def tag(self) -> str:
        """Return the readable name: a vendor's reference, or the alias of the newest build.

        A run uses `store.name_of` for our images, whose tag contains a digest too.
        """
        return self.reference or f"{self.repository}:{self.version}"

    @functools.cached_property
    def fits_host(self) -> bool:
        """Whether its packages are enough for the host runtime."""
        return bool(self.lock) and not self.container_only

    @functools.cached_property
    def folder(self) -> Path:
        """Return the folder of the Dockerfile."""
        return paths.DOCKERFILES / (self.recipe or self.id)

    @functools.cached_property
    def frameworks(self) -> tuple[str, ...]:
        """Return the ids of every framework in the image."""
        return (self.framework, *self.also)

    @functools.cached_property
    def lock_file(self) -> Path:
        """Return the file of the exact packages, Python's or Debian's."""
        return self.folder / (self.packages or self.lock)


class ImageTable(StrictRecord):
    """All images and bases, and the pip that installs the wheels in a build.

    `digests` pin vendors' references; they are in a separate file (`pins`).
    """

    schema_version: Literal[1] = Field(alias="schema")
    pip: Version
    bases: dict[str, BaseImage] = Field(alias="base", default_factory=dict)
    images: dict[str, Image] = Field(alias="image")
    digests: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _name_entries(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            **data,
            "base": _named(data.get("base", {}), "name"),
            "image": _named(data.get("image", {}), "id"),
        }

    @model_validator(mode="after")
    def _bases_exist(self) -> Self:
        for base in self.bases.values():
            if base.parent and not (base.parent in self.bases and self.bases[base.parent].suite):
                raise ValueError(
                    f"base.{base.name} names the parent {base.parent!r}, which is not a base built "
                    "from a suite"
                )
        for image in self.images.values():
            if image.source == "vendor":
                continue
            if image.base not in self.bases:
                raise ValueError(f"image.{image.id} names the unknown base {image.base!r}")
            if image.python != self.bases[image.base].python:
                raise ValueError(
                    f"image.{image.id} says Python {image.python}, but its base {image.base} has "
                    f"{self.bases[image.base].python}"
                )
        return self

    @model_validator(mode="after")
    def _stand_ins_exist(self) -> Self:
        for image in self.images.values():
            for other in image.instead_of:
                if other == image.id or other not in self.images:
                    raise ValueError(f"image.{image.id} stands in for the unknown image {other!r}")
                if self.images[other].device != image.device:
                    raise ValueError(f"image.{image.id} and {other} are for different devices")
        return self

    @model_validator(mode="after")
    def _parents_fit(self) -> Self:
        for image in self.images.values():
            if not image.parent:
                continue
            parent = self.images.get(image.parent)
            if parent is None or not parent.lock or parent.parent:
                raise ValueError(
                    f"image.{image.id} names the parent {image.parent!r}, which must have a lock "
                    "and no parent"
                )
            if (image.base, image.device) != (parent.base, parent.device):
                raise ValueError(
                    f"image.{image.id} needs the base and the device of its parent {image.parent}"
                )
        return self

    def candidates(self, image: Image) -> tuple[Image, ...]:
        """Return an image and those that replace it on other machines, the newest first."""
        return (image, *(one for one in self.images.values() if image.id in one.instead_of))

    def for_host(self, image: Image) -> Image:
        """Return an image, or the first one that replaces it and whose packages fit the host."""
        return next((one for one in self.candidates(image) if one.fits_host), image)

    def image(self, image_id: str) -> Image:
        """Look an image up by its id. Raises RequestError with the nearest id."""
        if image_id not in self.images:
            raise unknown("image", image_id, self.images, listing="benchdock images")
        return self.images[image_id]

    def pinned(self, image: Image) -> str:
        """Return the reference to pull a vendor's image: by digest if it is known, else by tag."""
        digest = self.digests.get(image.reference)
        return f"{parse_reference(image.reference).name}@{digest}" if digest else image.tag

    def pip_of(self, image: Image) -> str:
        """Return the version of the pip that installs the wheels of an image in its build."""
        return self.bases[image.base].pip or self.pip

    def lock_files(self, image: Image) -> tuple[Path, ...]:
        """Return the files that pin all packages of an image, its parent's first."""
        parent = (self.images[image.parent].lock_file,) if image.parent else ()
        return (*parent, image.lock_file)

    def image_of_tag(self, reference: str) -> Image | None:
        """Return the image with the id `reference`, or with a build that has or had this name."""
        repository, _, tag = reference.partition(":")
        for image in self.images.values():
            if reference in (image.id, image.tag):
                return image
            if image.source == "build" and repository == image.repository and "@" not in tag:
                return image
        return None


def _named(images: Any, key: str) -> Any:
    if not isinstance(images, dict):
        return images
    return {
        name: {key: name, **image} if isinstance(image, dict) else image
        for name, image in images.items()
    }


def read(text: str, *, name: str) -> ImageTable:
    """Read the table from TOML. Raises ImageError that names the wrong key."""
    try:
        return ImageTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ImageError(f"{name} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise ImageError(f"{name}: {_first_mistake(error)}") from None


@functools.cache
def load() -> ImageTable:
    """Read `dockerfiles/images.toml`, and the digests beside it. Raises ImageError."""
    path = paths.DOCKERFILES / "images.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if (fault := installation.fault(error)) is not None:
            raise fault from None
        raise ImageError(f"cannot read the table of images: {error}") from None
    return read(text, name=path.name).model_copy(update={"digests": pins.load()})


def _first_mistake(error: ValidationError) -> str:
    # A mistyped key is also a missing one; the typing mistake is more useful.
    mistake = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(map(str, mistake["loc"]))
    if mistake["type"] != "extra_forbidden":
        message = mistake["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    record: type[StrictRecord] = ImageTable
    if mistake["loc"][0] in ("image", "base"):
        record = Image if mistake["loc"][0] == "image" else BaseImage
    key = str(mistake["loc"][-1])
    near = nearest(key, record.model_fields)
    return f"{where}: unknown key" + (f"; did you mean {near!r}?" if near else "")
