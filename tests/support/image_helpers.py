"""A small table of images in a separate folder, and a fake pip and engine that do as requested."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

from orchestrator import paths
from orchestrator.errors import ImageError
from orchestrator.images import image_table, wheelhouse
from orchestrator.images.image_table import Image, ImageTable
from orchestrator.runtimes.docker.client import ImageInfo

TABLE = """
schema = 1
pip = "25.3"
[base."debian:bookworm-slim"]
suite = "bookworm"
python = "3.11"
glibc = "2.36"
[image.tiny-cpu]
framework = "tiny"
version = "1.0"
device = "cpu"
source = "build"
base = "debian:bookworm-slim"
python = "3.11"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
extra_index = "https://wheels.example/cpu"
[image.vendor-tiny]
framework = "tiny"
version = "24.06"
device = "gpu"
source = "vendor"
reference = "registry.example/tiny:24.06"
python = "3.10"
machines = ["x86_64"]
end_of_life = "nobody fixes it any more"
"""

# Stands on the layers of tiny-cpu, and compiles one of its packages.
CHILD = """
[image.child-cpu]
framework = "tiny"
version = "1.0"
device = "cpu"
source = "build"
base = "debian:bookworm-slim"
parent = "tiny-cpu"
python = "3.11"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
compiled = ["gamma"]
"""

LOCK = "alpha==1.0\nbeta_two==2.0+cpu \\\n    --hash=sha256:00\n"

# Behaves like `pip download` and `pip install`: what is in the folder already is not fetched.
# behaviour.json: {"fail": [[word in argv, what it prints], ...]}; calls go to calls.jsonl.
PIP = r"""
import json, pathlib, re, sys
here = pathlib.Path(__file__).parent
argv = sys.argv[1:]
with (here / "calls.jsonl").open("a") as stream:
    stream.write(json.dumps(argv) + "\n")
for word, without, text in json.loads((here / "behaviour.json").read_text())["fail"]:
    if word in argv and without not in argv:
        print(text)
        sys.exit(1)
pins = re.findall(r"^([\w-]+)==([^\s\\]+)", "\n".join(argv), re.M)
if "--requirement" in argv:
    lock = pathlib.Path(argv[argv.index("--requirement") + 1]).read_text()
    pins += re.findall(r"^([\w-]+)==([^\s\\]+)", lock, re.M)
if "download" in argv:
    folder = pathlib.Path(argv[argv.index("--dest") + 1])
    for name, version in pins:
        end = ".tar.gz" if "--no-binary=" + name in argv else "-py3-none-any.whl"
        wheel = folder / (name.replace("-", "_") + "-" + version + end)
        if not wheel.exists():
            wheel.write_text("wheel of " + name)
            print("Saved", wheel)
"""


@dataclass
class FakePip:
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "pip.py").write_text(PIP)
        self.fail()

    @property
    def command(self) -> tuple[str, str]:
        return sys.executable, str(self.folder / "pip.py")

    def fail(self, *rules: tuple[str, str, str]) -> None:
        """Fail with a text where argv has the first word and lacks the second."""
        (self.folder / "behaviour.json").write_text(json.dumps({"fail": rules}))

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass
class Place:
    """A project folder and a home, with the table read from it."""

    table: ImageTable
    dockerfiles: Path
    backends: Path
    pip: FakePip

    @property
    def image(self):
        return self.table.images["tiny-cpu"]

    @property
    def vendor(self):
        return self.table.images["vendor-tiny"]

    @property
    def house(self) -> Path:
        return paths.wheelhouse("tiny-cpu")

    def fetch(self, said: list[str] | None = None, source: Path | None = None) -> Path:
        lines = said if said is not None else []
        return wheelhouse.fetch(
            self.image, self.table, lines.append, source=source, pip=self.pip.command
        )


def make_place(tmp_path: Path, monkeypatch) -> Place:
    dockerfiles = tmp_path / "dockerfiles"
    (dockerfiles / "tiny-cpu").mkdir(parents=True)
    (dockerfiles / "tiny-cpu" / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    (dockerfiles / "tiny-cpu" / "requirements.lock").write_text(LOCK)
    (dockerfiles / "backends.Dockerfile").write_text("ARG FRAMEWORK_IMAGE\n")
    backends = tmp_path / "backends"
    (backends / "tiny" / "__pycache__").mkdir(parents=True)
    (backends / "__init__.py").write_text("")
    (backends / "tiny" / "__main__.py").write_text("print('well')\n")
    (backends / "tiny" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"junk")
    monkeypatch.setattr(paths, "DOCKERFILES", dockerfiles)
    monkeypatch.setattr(paths, "BACKENDS", backends)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(wheelhouse, "machine", lambda: "x86_64")
    pip = FakePip(tmp_path / "pip")
    monkeypatch.setattr("orchestrator.runtimes.host.host_pip.command", lambda: pip.command)
    return Place(image_table.read(TABLE, name="images.toml"), dockerfiles, backends, pip)


def with_child(place: Place, sources: str = "compiled") -> tuple[ImageTable, Image]:
    """Return the table with a further image that stands on the layers of the first.

    `sources` is the key of its package that comes as source.
    """
    folder = place.dockerfiles / "child-cpu"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    (folder / "requirements.lock").write_text("gamma==3.0\ndelta==4.0\n")
    table = image_table.read(TABLE + CHILD.replace("compiled", sources), name="images.toml")
    return table, table.images["child-cpu"]


@dataclass
class Build:
    """One build: the engine's request, and the files of the context with their modes."""

    tag: str
    files: dict[str, int]
    labels: Mapping[str, str]
    buildargs: Mapping[str, str]
    network_mode: str | None


@dataclass
class FakeImages:
    """An engine as `orchestrator.images.store` sees it."""

    here: dict[str, ImageInfo] = field(default_factory=dict)
    registry: dict[str, ImageInfo] = field(default_factory=dict)
    builds: list[Build] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    build_error: ImageError | None = None
    forgetful: bool = False
    data_root: Path | None = None

    def info(self):
        return SimpleNamespace(data_root=self.data_root)

    def add(self, reference: str, **labels: str) -> ImageInfo:
        self.here[reference] = info(reference, {k.replace("_", "."): v for k, v in labels.items()})
        return self.here[reference]

    def image(self, reference):
        return self.here.get(reference)

    def pull(self, reference, on_progress):
        if reference not in self.registry:
            raise ImageError(f"image {reference} could not be pulled: no such host", hint="network")
        self.here[reference] = self.registry[reference]
        return self.here[reference]

    def tag_image(self, image, name):
        found = next(one for one in self.here.values() if one.id == image)
        self.here[name] = replace(found, reference=name)

    def remove_image(self, reference):
        self.removed.append(reference)
        if self.here.pop(reference, None) is None:
            raise ImageError(f"image {reference} stays: no such image")

    def import_image(self, archive, tag, *, changes=()):
        self.here[tag] = info(tag, {"changes": " ".join(changes), "tar": archive.read_text()})
        return self.here[tag]

    def build(self, context, *, tag, on_line, labels=None, buildargs=None, network_mode=None):
        on_line("Step 1/1 : FROM scratch")
        files = {
            path.relative_to(context).as_posix(): path.stat().st_mode & 0o777
            for path in sorted(context.rglob("*"))
        }
        self.builds.append(Build(tag, files, labels or {}, buildargs or {}, network_mode))
        if self.build_error is not None:
            raise self.build_error
        if not self.forgetful:
            self.here[tag] = info(tag, dict(labels or {}))
        return info(tag, dict(labels or {}))


def info(reference: str, labels: Mapping[str, str], digest: str | None = None) -> ImageInfo:
    return ImageInfo(
        reference=reference,
        id=f"sha256:{abs(hash((reference, tuple(sorted(labels.items()))))):064x}",
        digest=digest,
        labels=dict(labels),
        size=1,
        environment={},
        entrypoint=(),
    )
