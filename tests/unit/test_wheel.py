"""The wheel: it works from any folder like the checkout."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT
from tests import installed

pytestmark = pytest.mark.slow

FACTS = """
import json, sys
import orchestrator
from orchestrator.machine.facts import MachineFacts
found = MachineFacts.of_this_machine()
print(json.dumps([orchestrator.__file__, found.commit, found.dirty]))
"""
NO_ENGINE = {"DOCKER_HOST": "unix:///absent/docker.sock"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed.build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that tests only read; its `benchdock` is returned."""
    return installed.install(wheel, tmp_path_factory.mktemp("whole") / "env")


@pytest.fixture
def own(whole: Path, tmp_path: Path) -> Path:
    """A copy of the installed package that a test may damage; its folder is returned."""
    installed_here = installed.site_packages(whole.parents[1])
    for name in ("orchestrator", "benchdock-*.dist-info"):
        for found in installed_here.glob(name):
            shutil.copytree(found, tmp_path / "copy" / found.name)
    return tmp_path / "copy"


def remedy(whole: Path, wheel: Path) -> str:
    """The command that installs the same again, by what pip noted of it."""
    return f"{whole.with_name('python')} -m pip install --force-reinstall {wheel.as_uri()}"


def damaged(whole: Path, own: Path, *words: str):
    """Run the copy in the environment's Python."""
    variables = {**NO_ENGINE, "PYTHONPATH": str(own), "BENCHDOCK_HOME": str(own / "home")}
    python = whole.with_name("python")
    return installed.run(python, "-m", "orchestrator", *words, **variables)


def test_its_metadata_and_its_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        told: Message = Parser().parsestr(archive.read(name).decode())
    assert tops == {"orchestrator", name.split("/")[0]}
    assert told["Author"] == "benchdock developers"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["License-File"] == "LICENSE"
    assert told["Requires-Python"] == ">=3.11"
    assert told["Summary"]
    assert told["Keywords"]
    assert "Operating System :: POSIX :: Linux" in told.get_all("Classifier", [])
    assert told.get_all("Project-URL") is None


@pytest.mark.parametrize(
    "words",
    [
        "run deep_mnist -f pytorch --gpus none --dry-run",
        "run resnet50 -f mxnet --phase inference --gpus none --dry-run --json",
        "frameworks --json",
        "models",
        "published --model vgg16",
        "completion bash",
    ],
)
def test_it_answers_as_the_checkout_does(whole: Path, tmp_path: Path, words: str) -> None:
    variables = {**NO_ENGINE, "BENCHDOCK_HOME": str(tmp_path)}
    checkout = Path(sys.executable).with_name("benchdock")
    ours = installed.run(checkout, *words.split(), **variables)
    theirs = installed.run(whole, *words.split(), **variables)
    shipped = installed.site_packages(whole.parents[1]) / "orchestrator" / "_shipped"
    assert (theirs.returncode, theirs.stderr) == (0, ours.stderr)
    assert theirs.stdout.replace(str(shipped), str(PROJECT)) == ours.stdout
    assert len(ours.stdout) > 100


def test_an_image_that_the_checkout_built_is_current(whole: Path) -> None:
    theirs = installed.run(whole.with_name("python"), "-c", installed.LABELS)
    ours = installed.run(Path(sys.executable), "-c", installed.LABELS)
    assert json.loads(theirs.stdout) == json.loads(ours.stdout)
    assert "pytorch-cpu" in ours.stdout


def test_it_has_no_commit_in_a_repository_of_somebody_elses(whole: Path, own: Path) -> None:
    # `pip install --target .` puts packages right into a clone.
    (own / ".git").mkdir()
    (own / ".git" / "HEAD").write_text("a" * 40 + "\n")
    done = installed.run(whole.with_name("python"), "-c", FACTS, PYTHONPATH=str(own))
    assert json.loads(done.stdout) == [str(own / "orchestrator" / "__init__.py"), None, None]


def test_it_names_the_commit_that_pip_installed(whole: Path, own: Path) -> None:
    [folder] = own.glob("*.dist-info")
    told = {"url": "https://x.example/b.git", "vcs_info": {"vcs": "git", "commit_id": "b" * 40}}
    (folder / "direct_url.json").write_text(json.dumps(told))
    done = installed.run(whole.with_name("python"), "-c", FACTS, PYTHONPATH=str(own))
    assert json.loads(done.stdout)[1] == "b" * 40


@pytest.mark.parametrize(
    "lost",
    ["launchers", "dockerfiles", "launchers/_base.sh.j2", "dockerfiles/pytorch-cpu/Dockerfile",
     "backends/pytorch/__main__.py"],
)  # fmt: skip
def test_doctor_knows_what_is_lost(whole: Path, wheel: Path, own: Path, lost: str) -> None:
    before = damaged(whole, own, "doctor", "--json")
    assert before.returncode == 0, before.stderr
    path = own / "orchestrator" / "_shipped" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = damaged(whole, own, "doctor", "--json")
    told = json.loads(done.stdout)
    [found] = [one for one in told["findings"] if one["name"] == "installation"]
    assert (done.returncode, told["can_run"], found["state"]) == (3, False, "missing")
    assert lost in found["detail"]
    assert found["remedy"] == remedy(whole, wheel)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("_shipped/launchers", ("run", "deep_mnist", "-f", "pytorch", "--dry-run")),
        ("_shipped/dockerfiles", ("images", "list")),
        ("_shipped/dockerfiles", ("run", "deep_mnist", "-f", "pytorch", "--dry-run")),
        ("_shipped/backends", ("doctor",)),
        ("_shipped", ("run", "deep_mnist", "-f", "pytorch", "--dry-run")),
        ("commands/parse.py", ("parse", "benchdock", "-")),
        ("arguments/all.py", ("doctor",)),
    ],
)
def test_other_commands_name_the_file_and_the_remedy(
    whole: Path, wheel: Path, own: Path, lost: str, words: tuple[str, ...]
) -> None:
    path = own / "orchestrator" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = damaged(whole, own, *words)
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("benchdock: the benchdock installation has no ")
    assert done.stderr.endswith(f"; run `{remedy(whole, wheel)}` to fix it\n")
    assert done.stderr.count("\n") == 1
