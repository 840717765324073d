"""The folder of packages that an image is built from, filled by the host's pip.

It contains wheels, and the sources of packages that an image compiles.
"""

import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from orchestrator import file_lock, paths
from orchestrator.errors import ImageError
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.request import LenientRecord
from orchestrator.runtimes.host import host_pip
from orchestrator.runtimes.host.host_pip import OnLine

MANIFEST = "manifest.json"

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# The oldest glibc of manylinux for each architecture (PEP 600).
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
_LEGACY = {
    "x86_64": ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
    "aarch64": ("manylinux2014_aarch64",),
}
_SOURCE = ".tar.gz"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


class Wheel(LenientRecord):
    """One file of the wheelhouse; `size` in bytes."""

    name: str
    sha256: str
    size: int


class WheelManifest(LenientRecord):
    """The contents of a complete wheelhouse, and what it was fetched for."""

    image: str
    lock_sha256: str
    pip: str
    python: str
    machine: str
    files: tuple[Wheel, ...]


def machine() -> str:
    """Return this machine's architecture as in the names of wheels."""
    name = platform.machine().lower()
    return _MACHINES.get(name, name)


def platform_tags(machine: str, glibc: str) -> list[str]:
    """List every platform whose wheels run with a glibc, the best first."""
    newest = int(glibc.split(".")[1])
    modern = [f"manylinux_2_{n}_{machine}" for n in range(newest, _OLDEST_GLIBC[machine] - 1, -1)]
    return [*modern, *_LEGACY[machine], f"linux_{machine}"]


def pins(lock: str) -> dict[str, str]:
    """Return the version of every package in a lock file, by its normalized name."""
    return {_normalised(name): version for name, version in _PIN.findall(lock)}


def defect(image: Image, table: ImageTable) -> str | None:
    """Say why an image's wheelhouse cannot be used; None if it is complete and up to date."""
    house = paths.wheelhouse(image.id)
    try:
        manifest = WheelManifest.model_validate_json((house / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return "there is none yet"
    except ValidationError:
        return "its manifest is damaged"
    if _wanted(image, table) != manifest.model_dump(exclude={"files"}):
        return f"{image.lock} (or the Python it is for) changed"
    for wheel in manifest.files:
        if not _intact(house / wheel.name, wheel):
            return f"{wheel.name} is missing or damaged"
    return None


def fetch(
    image: Image,
    table: ImageTable,
    on_line: OnLine,
    *,
    source: Path | None = None,
    pip: Sequence[str] | None = None,
) -> Path:
    """Complete the wheelhouse of an image and return its folder.

    Fetches only what is missing or damaged. With `source`, wheels come only from that folder and no
    index is used. Raises ImageError, or MachineError if pip is missing.
    """
    if image.packages:
        raise ImageError(
            f"{image.id} is made of Debian's packages, not of wheels",
            hint="see dockerfiles/README.md for how to keep them",
        )
    if machine() not in image.machines:
        known = " and ".join(image.machines)
        raise ImageError(f"{image.id} is made for {known}, this machine is {machine()}")
    house = paths.wheelhouse(image.id)
    aside = house.with_name(f".{house.name}.partial")

    def say_waiting() -> None:
        on_line(f"waiting for another process that fetches the wheels of {image.id}")

    with file_lock.held(house.with_name(f".{house.name}.lock"), on_wait=say_waiting):
        reason = defect(image, table)
        if reason is None:
            on_line(f"wheels of {image.id}: complete and up to date in {house}")
            return house
        on_line(f"fetching the wheels of {image.id} into {house}: {reason}")
        try:
            _fill(aside, image, table, on_line, source=source, pip=pip)
            _swap(aside, house)
        except OSError as error:
            raise ImageError(f"cannot write the wheels of {image.id}: {error}") from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return house


def _fill(
    folder: Path,
    image: Image,
    table: ImageTable,
    on_line: OnLine,
    *,
    source: Path | None,
    pip: Sequence[str] | None,
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _keep_intact(image, table, folder)
    common = ["download", "--dest", str(folder), "--no-deps", "--only-binary=:all:"]
    common += [f"--no-binary={name}" for name in (*image.compiled, *image.sources)]
    common += ["--implementation", "cp", "--python-version", image.python]
    for tag in platform_tags(machine(), table.bases[image.base].glibc):
        common += ["--platform", tag]
    if source is not None:
        common += ["--no-index", "--find-links", str(source.absolute())]
    wanted = (["--requirement", str(image.lock_file)], [f"pip=={table.pip_of(image)}"])
    for packages in wanted:
        with_fallback([*common, *packages], image, on_line, offline=source is not None, pip=pip)
    _write_manifest(folder, image, table)


def with_fallback(
    arguments: Sequence[str],
    image: Image,
    on_line: OnLine,
    *,
    offline: bool,
    pip: Sequence[str] | None,
) -> None:
    """Run pip with the host's indexes; if they lack a package, also with `extra_index`."""
    try:
        host_pip.run(arguments, on_line, pip=pip)
    except host_pip.NoMatchError as error:
        if offline or not image.extra_index:
            raise
        on_line(f"{error.what}; trying {image.extra_index} as well")
        host_pip.run([*arguments, "--extra-index-url", image.extra_index], on_line, pip=pip)


def _keep_intact(image: Image, table: ImageTable, folder: Path) -> None:
    """Link the wheels that are still good and needed into the new folder."""
    house = paths.wheelhouse(image.id)
    try:
        manifest = WheelManifest.model_validate_json((house / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return
    if (manifest.python, manifest.machine) != (image.python, machine()):
        return
    wanted = {**pins(image.lock_file.read_text(encoding="utf-8")), "pip": table.pip_of(image)}
    for wheel in manifest.files:
        name, version = wheel.name.removesuffix(_SOURCE).split("-")[:2]
        if wanted.get(_normalised(name)) == version and _intact(house / wheel.name, wheel):
            os.link(house / wheel.name, folder / wheel.name)


def _write_manifest(folder: Path, image: Image, table: ImageTable) -> None:
    files = tuple(
        Wheel(name=path.name, sha256=sha256(path), size=path.stat().st_size)
        for path in sorted((*folder.glob("*.whl"), *folder.glob(f"*{_SOURCE}")))
    )
    manifest = WheelManifest.model_validate({**_wanted(image, table), "files": files})
    text = json.dumps(manifest.model_dump(), indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _swap(aside: Path, house: Path) -> None:
    """Replace the old folder with the new one; a folder cannot be renamed over another."""
    old = house.with_name(f".{house.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if house.exists():
        house.rename(old)
    aside.rename(house)
    shutil.rmtree(old, ignore_errors=True)


def _wanted(image: Image, table: ImageTable) -> dict[str, str]:
    return {
        "image": image.id,
        "lock_sha256": sha256(image.lock_file),
        "pip": table.pip_of(image),
        "python": image.python,
        "machine": machine(),
    }


def _intact(path: Path, wheel: Wheel) -> bool:
    try:
        return path.stat().st_size == wheel.size and sha256(path) == wheel.sha256
    except OSError:
        return False


def sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
