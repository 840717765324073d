"""Base images made from Debian's packages, for places where no registry answers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator import paths
from orchestrator.errors import ImageError, MachineError
from orchestrator.host.host_pip import KEPT_LINES, OnLine
from orchestrator.images.image_table import BaseImage

if TYPE_CHECKING:
    from orchestrator.engine.images import ImageInfo

BOOTSTRAPPED = "benchdock.bootstrapped"

# Python and the CA certificates come along, so that a build upon this base needs no network.
_PACKAGES = "ca-certificates,python3"
# What Debian's own slim images leave out.
_SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)


class ImportingEngine(Protocol):
    """What a bootstrap needs of a container engine; `orchestrator.engine.client.Engine` has it."""

    def image(self, reference: str) -> ImageInfo | None:
        """Look an image up."""

    def import_image(self, archive: Path, tag: str, *, changes: tuple[str, ...] = ()) -> ImageInfo:
        """Make an image from a tar of a root file system; `changes` are Dockerfile lines."""


def bootstrap(
    base: BaseImage,
    engine: ImportingEngine,
    on_line: OnLine,
    *,
    force: bool = False,
    mirror: str = "",
) -> Literal["found", "made"]:
    """Make a base image under its public name, unless the engine has that name already.

    `mirror` is the URL of a Debian mirror of one's own. Takes about half a minute and a network.
    Raises MachineError where mmdebstrap is missing, ImageError where it fails.
    """
    if engine.image(base.name) is not None and not force:
        on_line(f"{base.name} is here already")
        return "found"
    if shutil.which("mmdebstrap") is None:
        raise MachineError(
            "mmdebstrap, which makes base images, is not installed",
            hint="`sudo apt-get install mmdebstrap`",
        )
    paths.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".base-", dir=paths.home()) as folder:
        archive = Path(folder) / "base.tar"
        on_line(f"making {base.name} from Debian's packages ({base.suite})")
        _run(mmdebstrap(base.suite, archive, mirror=mirror), base.name, on_line)
        on_line(f"importing {base.name}")
        changes = (f"LABEL {BOOTSTRAPPED}=true", 'CMD ["bash"]')
        engine.import_image(archive, base.name, changes=changes)
    return "made"


def mmdebstrap(suite: str, archive: Path, *, mirror: str = "") -> list[str]:
    """Return the command that writes a small root file system of a Debian suite."""
    options = [f"--dpkgopt={option}" for option in _SLIM]
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={_PACKAGES}",
        *options,
        suite,
        str(archive),
        *([mirror] if mirror else []),
    ]


def _run(argv: list[str], name: str, on_line: OnLine) -> None:
    last: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode:
        causes = [line for line in last if line.startswith("E:")]
        cause = (causes or list(last) or ["it said nothing"])[-1]
        raise ImageError(
            f"mmdebstrap could not make {name}: {cause}",
            hint="does this machine reach a Debian mirror?",
            details=tuple(last),
        )
