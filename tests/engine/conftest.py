"""A real engine, and an image so small that it needs no registry."""

import io
import os
import secrets
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

from orchestrator.errors import EngineError
from orchestrator.runtimes.docker.client import Engine
from tests import misbehaving
from tests.engine.private_engine import PrivateEngine, missing
from tests.fakes import plan
from tests.misbehaving import add_folders, add_own_programs, libraries

PROGRAMS = ("sh", "cat", "dd", "df", "head", "id", "ls", "sleep", "touch", "true")


@pytest.fixture(scope="session")
def engine():
    try:
        connected = Engine.connect()
    except EngineError as error:
        if os.environ.get("CI"):
            pytest.fail(f"continuous integration needs a container engine: {error}")
        pytest.skip(f"needs a container engine: {error}")
    with connected:
        yield connected


@pytest.fixture(scope="session")
def tiny_archive(tmp_path_factory) -> Path:
    """A tar of a root file system with a shell and little else."""
    busybox = shutil.which("busybox")
    path = tmp_path_factory.mktemp("tiny") / "root.tar"
    with tarfile.open(path, "w") as archive:
        add_folders(archive, ("bin", "tmp", "proc", "dev", "sys", "etc"))
        passwd = tarfile.TarInfo("etc/passwd")
        content = b"root:x:0:0:root:/:/bin/sh\n"
        passwd.size = len(content)
        archive.addfile(passwd, io.BytesIO(content))
        if busybox and _is_static(busybox):
            _add_busybox(archive, busybox)
        else:
            add_own_programs(archive, PROGRAMS)
    return path


def _is_static(program: str) -> bool:
    return not libraries(program)


def _add_busybox(archive: tarfile.TarFile, busybox: str) -> None:
    archive.add(os.path.realpath(busybox), "bin/busybox")
    for program in PROGRAMS:
        link = tarfile.TarInfo(f"bin/{program}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)


@pytest.fixture(scope="session")
def tiny(engine, tiny_archive):
    """The tag of the tiny image on the machine's engine."""
    tag = f"benchdock-test-tiny:{secrets.token_hex(4)}"
    engine.import_image(tiny_archive, tag)
    yield tag
    engine.remove_image(tag)


@pytest.fixture(scope="session")
def misbehaving_image(engine):
    """The tag of an image whose python3 misbehaves on request."""
    with misbehaving.image(engine) as tag:
        yield tag


@pytest.fixture
def tiny_plan(tiny):
    """Return a function that makes a plan for the tiny image: an argv and changes."""

    def make(*argv: str, **changes):
        return plan(image=tiny, argv=argv, **changes)

    return make


@pytest.fixture
def private_engine():
    if reason := missing():
        pytest.skip(reason)
    # Not tmp_path: a socket's path must be shorter than 108 bytes, and containerd adds to it.
    private = PrivateEngine(Path(tempfile.mkdtemp(prefix="benchdock-")))
    try:
        yield private
    finally:
        private.down()


@pytest.fixture(autouse=True)
def everybody_may_enter(request):
    """Open `tmp_path`, which pytest keeps from others: containers of root do not run as root."""
    if "tmp_path" in request.fixturenames:
        request.getfixturevalue("tmp_path").chmod(0o755)
