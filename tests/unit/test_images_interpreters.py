"""Old Pythons of the machine, found and packed into base images; here one of a few files."""

import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from orchestrator import paths
from orchestrator.commands import images
from orchestrator.errors import ImageError
from orchestrator.images import base_images, builder, image_table, interpreters, store
from orchestrator.images.interpreters import NoInterpreterError
from tests.support.image_helpers import FakeImages

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OLD = "9.7"
TABLE = f"""
schema = 1
pip = "25.3"
[base."debian:bookworm-slim"]
suite = "bookworm"
python = "3.11"
glibc = "2.36"
[base."python:9.7-slim"]
parent = "debian:bookworm-slim"
python = "{OLD}"
glibc = "2.31"
pip = "24.0"
[image.old-cpu]
framework = "old"
version = "1.0"
device = "cpu"
source = "build"
base = "python:9.7-slim"
python = "{OLD}"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
sources = ["gamma"]
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    folder = tmp_path / "dockerfiles"
    shutil.copytree(paths.DOCKERFILES, folder)
    shutil.copytree(folder / "pytorch-cpu", folder / "old-cpu")
    monkeypatch.setattr(paths, "DOCKERFILES", folder)
    return image_table.read(TABLE, name="images.toml")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any old Python; `add` installs one that says what it is."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))

    def add(place, *, says=OLD, status=0):
        program = tmp_path / place
        program.parent.mkdir(parents=True, exist_ok=True)
        library = program.parent.parent / "lib" / f"python{OLD}"
        (library / "lib-dynload").mkdir(parents=True, exist_ok=True)
        told = json.dumps([says, str(program), str(library), str(library)])
        program.write_text(f"#!/bin/sh\necho '{told}'\nexit {status}\n")
        program.chmod(0o755)
        return program

    return add


def test_a_machine_without_it_has_none(machine):
    assert interpreters.find(OLD) is None
    assert interpreters.lack(OLD).startswith("this machine has no Python 9.7 (")


def test_path_comes_first_and_then_the_newest_of_pyenv(machine):
    machine(f"pyenv/versions/9.7.9/bin/python{OLD}")
    newest = machine(f"pyenv/versions/9.7.16/bin/python{OLD}")
    machine(f"pyenv/versions/9.70.1/bin/python{OLD}")
    assert interpreters.find(OLD).executable == newest
    on_path = machine(f"bin/python{OLD}")
    assert interpreters.find(OLD).executable == on_path


def test_a_shim_of_a_version_that_is_not_active_is_passed_over(machine, tmp_path):
    shim = machine(f"bin/python{OLD}")
    shim.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    assert interpreters.find(OLD) is None
    machine(f"bin/python{OLD}", says="9.8")
    assert interpreters.find(OLD) is None


@pytest.mark.slow
def test_a_real_interpreter_runs_from_its_archive(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / f"python{HERE}").symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    found = interpreters.find(HERE)
    archive = tmp_path / "interpreter.tar"
    interpreters.pack(found, archive)
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar.getmembers()}
        tar.extractall(tmp_path / "root", filter="data")
    assert members["usr/local/bin/python3"].linkname == f"python{HERE}"
    assert all((member.uid, member.gid) == (0, 0) for member in members.values())
    assert members[f"usr/local/lib/python{HERE}/os.py"].mode == 0o644
    assert not any("/test/" in name or "_tkinter" in name for name in members)
    assert not any("/libc.so" in name for name in members)
    # On the library path because a test cannot run ldconfig.
    root = tmp_path / "root" / "usr" / "local"
    code = "import ctypes, os, ssl, sys; print(sys.prefix, os.__file__)"
    done = subprocess.run(
        [root / "bin" / "python", "-I", "-c", code],
        env={"LD_LIBRARY_PATH": str(root / "lib" / "interpreter")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(root), str(root / "lib" / f"python{HERE}" / "os.py")]


def test_libraries_of_glibc_stay_where_they_are():
    assert interpreters._GLIBC.fullmatch("libc.so.6")
    assert interpreters._GLIBC.fullmatch("ld-linux-x86-64.so.2")
    assert interpreters._GLIBC.fullmatch("libpthread.so.0")
    assert not interpreters._GLIBC.fullmatch("libcrypt.so.1")
    assert not interpreters._GLIBC.fullmatch("libpython3.7m.so.1.0")


def test_a_base_is_another_one_with_the_interpreter(table, machine, tmp_path):
    machine(f"bin/python{OLD}")
    (tmp_path / "bin" / "ldd").symlink_to("/usr/bin/ldd")
    engine = FakeImages()
    engine.add("debian:bookworm-slim")
    said: list[str] = []
    base = table.bases["python:9.7-slim"]
    assert base_images.bootstrap(base, table, engine, said.append) == "made"
    (made,) = engine.builds
    assert made.tag == "python:9.7-slim"
    assert set(made.files) == {"Dockerfile", "interpreter.tar"}
    assert made.buildargs == {"BASE": "debian:bookworm-slim", "PYTHON": OLD}
    assert made.labels == {"benchdock.bootstrapped": "true"}
    assert made.network_mode == "none"
    assert base_images.bootstrap(base, table, engine, said.append) == "found"


def test_without_the_interpreter_nothing_is_made_and_one_sentence_says_so(table, machine):
    engine = FakeImages()
    with pytest.raises(NoInterpreterError) as caught:
        base_images.bootstrap(table.bases["python:9.7-slim"], table, engine, print)
    assert str(caught.value) == (
        "python:9.7-slim cannot be built: this machine has no Python 9.7 (python9.7 on PATH, or "
        "pyenv's); run `pyenv install 9.7`"
    )
    assert engine.here == {}


def test_the_state_of_an_image_says_that_its_base_cannot_be_made(
    table, machine, tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "DOCKERFILES", tmp_path)
    (tmp_path / "old-cpu").mkdir()
    for name in ("backends.Dockerfile", "old-cpu/Dockerfile", "old-cpu/requirements.lock"):
        (tmp_path / name).write_text("")
    engine = FakeImages()
    image = table.image("old-cpu")
    state = store.state(image, table, engine)
    assert state.kind == "absent"
    assert state.reason.startswith("its base python:9.7-slim is not here, and this machine has no")
    engine.add("python:9.7-slim")
    assert store.state(image, table, engine).reason == ""


def test_a_build_without_base_and_interpreter_names_both(table, machine):
    base = table.bases["python:9.7-slim"]
    with pytest.raises(NoInterpreterError, match=r"cannot be pulled .* no Python 9.7 .*bootstrap"):
        builder._need_base(base, FakeImages(), print)
    machine(f"bin/python{OLD}")
    with pytest.raises(
        ImageError, match=r"run `benchdock images bootstrap python:9\.7-slim` to build"
    ):
        builder._need_base(base, FakeImages(), print)


class Engine(FakeImages):
    """What `benchdock images` connects to."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def engine(monkeypatch):
    found = Engine()
    monkeypatch.setattr("orchestrator.runtimes.docker.client.Engine.connect", lambda: found)
    return found


def test_what_was_not_asked_for_by_name_is_left_out(table, machine, engine):
    ((told, text),) = images._bootstrap(table, (), force=False)
    assert told["did"] == "left out"
    assert text.startswith(
        "python:9.7-slim: left out: python:9.7-slim cannot be built: this machine"
    )
    with pytest.raises(NoInterpreterError):
        list(images._bootstrap(table, ("python:9.7-slim",), force=False))


def test_an_image_that_cannot_be_built_here_does_not_stop_the_others(
    table, machine, engine, monkeypatch
):
    def ensure(row, *_):
        raise NoInterpreterError("no Python", hint="`get one`")

    monkeypatch.setattr(store, "ensure", ensure)
    rows = [table.image("old-cpu")]
    ((told, text),) = images._build(table, rows, force=False, named=False)
    assert text == "old-cpu: left out: no Python; `get one`"
    assert told == {"image": "old-cpu", "did": "left out", "why": "no Python; `get one`"}
    with pytest.raises(NoInterpreterError):
        list(images._build(table, rows, force=False, named=True))


def test_a_base_brings_the_pip_that_runs_on_its_python(table):
    assert table.pip_of(table.image("old-cpu")) == "24.0"
    real = image_table.load()
    assert real.pip_of(real.image("pytorch-cpu")) == real.pip
    assert real.pip_of(real.image("tensorflow1-cpu")) == "24.0"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('parent = "debian:bookworm-slim"', "", "needs either 'suite' or 'parent'"),
        ('suite = "bookworm"', 'suite = "bookworm"\nparent = "x"', "needs either 'suite' or"),
        ('parent = "debian:bookworm-slim"', 'parent = "x"', "the parent 'x', which is not a base"),
        ('parent = "debian:bookworm-slim"', 'parent = "python:9.7-slim"', "not a base built from"),
    ],
)
def test_a_mistake_in_a_base_is_named(old, new, told):
    with pytest.raises(ImageError, match=told):
        image_table.read(TABLE.replace(old, new, 1), name="images.toml")


def test_the_dockerfile_of_a_base_tries_the_interpreter():
    text = (paths.DOCKERFILES / base_images._DOCKERFILE).read_text(encoding="utf-8")
    assert "ADD interpreter.tar /\n" in text
    assert "ldconfig && python${PYTHON} -c 'import" in text
